// What the answers mean: the state of replicas, services and stacks, and how load went.

/** How far back plots go. */
export const HISTORY_MILLISECONDS = 5 * 60 * 1000;

/** Worst first; what is completed is no better than what serves, and says less. */
export const STATES = ["failed", "starting", "updating", "paused", "off", "ready", "done"];

export const STATE_WORDS = {
  failed: "failed", starting: "starting", updating: "updating", paused: "paused", off: "stopped", done: "completed",
  ready: "ready",
};

/** What was restarted and has run no longer than this is not known to stay. */
const STEADY_MILLISECONDS = 10 * 1000;

export function replicaState(container, now) {
  switch (container.state) {
    case "running":
      if (container.health === "unhealthy") return "failed";
      if (!container.health && container.restarts > 0 && now - Date.parse(container.startedAt) < STEADY_MILLISECONDS) {
        return "starting";
      }
      return container.health === "starting" ? "starting" : "ready";
    case "created": return "starting";
    case "restarting": return "failed";
    case "paused": return "paused";
    case "exited":
      if (container.exitCode === 0) return "done";
      // What a user has stopped ends by a signal.
      return container.exitCode === 143 || container.exitCode === 137 ? (container.note ? "failed" : "off") : "failed";
    default: return "failed";
  }
}

export function replicaWords(container, now) {
  const since = (time) => (time ? ` ${agoSince(time, now)}` : "");
  switch (container.state) {
    case "running": return (container.health ?? "running") + since(container.startedAt);
    case "exited": return container.note ?? `exited (${container.exitCode ?? 0})` + since(container.finishedAt);
    default: return container.state;
  }
}

function agoSince(time, now) {
  const seconds = Math.max(0, Math.floor((now - Date.parse(time)) / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  return seconds < 86400 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86400)}d`;
}

/** A service with its replicas, its rollout and the state of it all. */
export function judge(service, containers, rollout, now = Date.now()) {
  const replicas = containers.filter((each) => each.service === service.name && !each.oneOff)
    .sort((left, right) => left.number - right.number || left.createdAt.localeCompare(right.createdAt))
    .map((container) => ({ container, state: replicaState(container, now) }));
  const wanted = service.replicas ?? 0;
  const ready = replicas.filter((each) => each.state === "ready" || each.state === "done").length;
  const isMoving = rollout !== undefined && rollout.updated < rollout.replicas && rollout.state !== "complete";
  let state = "ready";
  if (rollout?.state === "failed" || replicas.some((each) => each.state === "failed")) state = "failed";
  else if (isMoving && replicas.length > 0) state = "updating";
  else if (service.isStopped || (wanted === 0 && replicas.length === 0)) state = "off";
  else if (replicas.some((each) => each.state === "paused")) state = "paused";
  else if (ready < wanted) state = replicas.some((each) => each.state === "off") ? "off" : "starting";
  else if (replicas.length > 0 && replicas.every((each) => each.state === "done")) state = "done";
  else if (replicas.some((each) => each.state === "starting")) state = "starting";
  return { ...service, replicas, wanted, ready, rollout: isMoving || state === "failed" ? rollout : undefined, state };
}

export const worst = (states) => STATES.find((state) => states.includes(state)) ?? "off";

/** Of a stack that is not looked at more closely. */
export function summaryState(summary) {
  const { running = 0, exited = 0, created = 0, dead = 0, paused = 0 } = summary.states;
  if (dead > 0) return "failed";
  if (paused > 0) return "paused";
  if (running === 0) return exited > 0 ? "done" : "off";
  return created > 0 ? "starting" : "ready";
}

/** Load over time, out of the engine's counters. */
export class History {
  /** By container: the last counters, and what they made. */
  containers = new Map();
  /** By `stack`, and by `stack/service`: points in time. */
  series = new Map();

  add(metrics, now) {
    const seen = new Set();
    const sums = new Map();
    const working = index(metrics.get("gantry_container_memory_working_set_bytes"));
    const limits = index(metrics.get("gantry_container_memory_limit_bytes"));
    for (const { labels, value } of metrics.get("gantry_container_cpu_usage_seconds_total") ?? []) {
      const name = labels.container;
      const before = this.containers.get(name);
      const memory = working.get(name) ?? null;
      let share = null;
      // A counter that has gone back belongs to a container that was started anew.
      if (before && value >= before.value && now > before.at) share = (value - before.value) / ((now - before.at) / 1000);
      this.containers.set(name, { at: now, value, share, memory, limit: limits.get(name) ?? null });
      seen.add(name);
      for (const key of [labels.stack, `${labels.stack}/${labels.service}`]) {
        const sum = sums.get(key) ?? { at: now, share: 0, memory: 0, isKnown: false };
        if (share !== null) [sum.share, sum.isKnown] = [sum.share + share, true];
        sum.memory += memory ?? 0;
        sums.set(key, sum);
      }
    }
    for (const name of this.containers.keys()) if (!seen.has(name)) this.containers.delete(name);
    for (const [key, sum] of sums) {
      const points = this.series.get(key) ?? [];
      if (sum.isKnown) points.push(sum);
      this.series.set(key, points.filter((point) => now - point.at <= HISTORY_MILLISECONDS));
    }
    for (const [key, points] of this.series) {
      if (!sums.has(key) && now - (points.at(-1)?.at ?? 0) > HISTORY_MILLISECONDS) this.series.delete(key);
    }
  }

  of(key) { return this.series.get(key) ?? []; }
}

const index = (samples = []) => new Map(samples.map(({ labels, value }) => [labels.container, value]));
