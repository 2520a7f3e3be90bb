'use strict';
// The healthcheck: the server answers, and the database answers it.

fetch('http://127.0.0.1:3000/healthz').then(
    (answer) => process.exit(answer.ok ? 0 : 1),
    () => process.exit(1),
);
