-- Applied at each `up`, so every statement may find its work done.
SET client_min_messages = warning;

CREATE TABLE IF NOT EXISTS task (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    title text NOT NULL CHECK (title <> ''),
    done boolean NOT NULL DEFAULT false,
    created timestamptz NOT NULL DEFAULT now()
);
