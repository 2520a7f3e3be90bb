// What is asked of the engine, by way of `gantry dashboard`.

export class Trouble extends Error {
  constructor(message, isGone = false) {
    super(message);
    this.isGone = isGone;
  }
}

async function ask(path, signal) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", cache: "no-store", signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble("This dashboard has ended. Run “gantry dashboard” again.", true);
  }
  if (answer.ok) return answer;
  const text = await answer.text();
  if (answer.status === 403) throw new Trouble(text, true);
  let message = text;
  try {
    message = JSON.parse(text).message ?? text;
  } catch {
    // It is not the engine's: shown as it is.
  }
  const trouble = new Trouble(message);
  trouble.status = answer.status;
  throw trouble;
}

const part = encodeURIComponent;

export const read = async (path) => (await ask(`/api${path}`)).json();
export const readStack = (stack, what) => read(`/stacks/${part(stack)}/${what}`);
export const readMetrics = async () => parseMetrics(await (await ask("/api/metrics")).text());

/** Samples by name, of Prometheus's text format as the engine writes it. */
export function parseMetrics(text) {
  const found = new Map();
  for (const line of text.split("\n")) {
    if (line === "" || line[0] === "#") continue;
    const brace = line.indexOf("{");
    const end = line.lastIndexOf(" ");
    const name = brace < 0 ? line.slice(0, end) : line.slice(0, brace);
    const labels = {};
    if (brace >= 0) {
      for (const [, label, value] of line.slice(brace + 1, end).matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
        labels[label] = value.replace(/\\(.)/g, (_, letter) => (letter === "n" ? "\n" : letter));
      }
    }
    if (!found.has(name)) found.set(name, []);
    found.get(name).push({ labels, value: Number(line.slice(end + 1)) });
  }
  return found;
}

/** Calls `take` with each object of a stream of lines of JSON, in batches, until `signal` or the end. */
async function follow(path, signal, take) {
  const answer = await ask(`/api${path}`, signal);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    const objects = lines.filter((line) => line.trim() !== "").map((line) => JSON.parse(line));
    if (objects.length > 0) take(objects);
  }
}

/** As `follow`, begun anew when it ends, until it is stopped: the answer stops it. */
export function keepFollowing(path, take, note = () => {}) {
  const controller = new AbortController();
  (async () => {
    while (!controller.signal.aborted) {
      note("");
      try {
        await follow(path(), controller.signal, take);
      } catch (error) {
        if (controller.signal.aborted) return;
        note(error.message);
      }
      await new Promise((done) => setTimeout(done, 2000));
    }
  })();
  return () => controller.abort();
}

export const logsPath = (stack, service, tail) =>
  `/stacks/${part(stack)}/services/${part(service)}/logs?tail=${tail}`;
