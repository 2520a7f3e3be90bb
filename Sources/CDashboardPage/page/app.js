// Asks the engine again and again, and shows what it says.

import { byId, bytesText, h, plural, setAttribute, setClass, setText, shareText, sync } from "./dom.js";
import { read, readMetrics, readStack } from "./engine.js";
import { History, STATE_WORDS, judge, summaryState, worst } from "./figures.js";
import { Changes } from "./changes.js";
import { Detail, Plot } from "./detail.js";
import { Events } from "./events.js";
import { Graph } from "./graph.js";
import { Logs } from "./logs.js";

const TABS = ["logs", "changes", "events"];
/** Milliseconds between looks at what differs, which costs the engine more than the rest. */
const DRIFT_PAUSE = 5000;

const state = {
  session: { engine: "", version: "", pace: "1" }, stacks: null, stack: null, service: null, tab: "logs",
  services: [], containers: [], rollout: null, drift: null, driftTrouble: null, plan: null, planTrouble: null,
  trouble: null, history: new History(), checkedAt: 0,
};

const graph = new Graph((name) => go({ service: name }));
const detail = new Detail();
const logs = new Logs();
const changes = new Changes();
const events = new Events(() => wake());
const summary = new (class {
  constructor() {
    this.name = h("h2", {});
    this.words = h("p", { class: "summary-words" });
    this.facts = h("p", { class: "facts" });
    this.share = new Plot("Processor", shareText, 0.01);
    this.memory = new Plot("Memory", bytesText, 1 << 20);
    byId("summary").append(h("div", { class: "summary-text" }, this.name, this.words, this.facts),
      this.share.element, this.memory.element);
  }

  render(now) {
    const states = state.services.map((service) => service.state);
    const overall = worst(states);
    setText(this.name, state.stack);
    setClass(this.words, `summary-words ${overall}`);
    setText(this.words, summaryWords(overall));
    const facts = [
      plural(state.services.length, "service"), plural(state.containers.length, "container"),
      state.rollout ? `revision ${state.rollout.revision}` : null,
      state.drift ? (state.drift.entries.length > 0 ? `drift in ${plural(state.drift.entries.length, "place")}` : "no drift") : null,
    ];
    setText(this.facts, facts.filter((fact) => fact !== null).join("  ·  "));
    const points = state.history.of(state.stack);
    this.share.render(points.map(({ at, share }) => [at, share]), now);
    this.memory.render(points.map(({ at, memory }) => [at, memory]), now);
  }
})();

function summaryWords(overall) {
  const named = (wanted) => state.services.filter((service) => service.state === wanted).map(({ name }) => name).join(", ");
  switch (overall) {
    case "ready": case "done": return "All services are ready";
    case "updating": return `Updating ${named("updating")}`;
    case "failed": return `Failed: ${named("failed")}`;
    default: return `${STATE_WORDS[overall][0].toUpperCase()}${STATE_WORDS[overall].slice(1)}: ${named(overall)}`;
  }
}

// ---- asking

async function look() {
  const [stacks, metrics] = await Promise.all([read("/stacks"), readMetrics()]);
  state.stacks = stacks;
  state.history.add(metrics, Date.now());
  if (!stacks.some(({ name }) => name === state.stack)) {
    state.stack = stacks[0]?.name ?? null;
    clearStack();
  }
  if (state.stack !== null) await lookAtStack(state.stack);
}

function clearStack() {
  Object.assign(state, {
    services: [], containers: [], rollout: null, drift: null, driftTrouble: null, plan: null, planTrouble: null, checkedAt: 0,
  });
}

async function lookAtStack(stack) {
  const [services, containers, rollout] = await Promise.all([
    readStack(stack, "services"), readStack(stack, "containers"),
    // While a stack goes down it has none.
    readStack(stack, "rollout").catch(() => null),
  ]);
  if (stack !== state.stack) return;
  const rollouts = new Map((rollout?.services ?? []).map((each) => [each.service, each]));
  state.rollout = rollout;
  state.containers = containers;
  state.services = withOrphans(services, containers).map((service) => judge(service, containers, rollouts.get(service.name)));
  if (!state.services.some(({ name }) => name === state.service)) state.service = firstService();
  const now = Date.now();
  if (now - state.checkedAt < DRIFT_PAUSE) return;
  state.checkedAt = now;
  const [drift, plan] = await Promise.all([
    attempt(readStack(stack, "drift")), state.tab === "changes" ? attempt(readStack(stack, "plan")) : [state.plan, null],
  ]);
  if (stack !== state.stack) return;
  [state.drift, state.driftTrouble] = drift;
  [state.plan, state.planTrouble] = plan;
}

const attempt = (promise) => promise.then((value) => [value, null], (error) => {
  if (error.isGone) throw error;
  return [null, error.message];
});

/** Containers whose service the stack file does not have any more are shown all the same. */
function withOrphans(services, containers) {
  const known = new Set(services.map(({ name }) => name));
  const lost = new Map(containers.filter(({ service, oneOff }) => !oneOff && !known.has(service))
    .map(({ service, image }) => [service, image]));
  return [...services, ...[...lost].map(([name, image]) => (
    { name, image, replicas: 0, dependsOn: [], networks: [], hasHealthcheck: false, isStopped: false }))];
}

function firstService() {
  const overall = worst(state.services.map((service) => service.state));
  const isCalm = overall === "ready" || overall === "done";
  return (state.services.find((service) => !isCalm && service.state === overall) ?? state.services[0])?.name ?? null;
}

let timer = null;
let isLooking = false;
let isWanted = false;

/** Looks now, or once more when a look is under way. */
async function wake() {
  if (isLooking) {
    isWanted = true;
    return;
  }
  clearTimeout(timer);
  isLooking = true;
  isWanted = false;
  try {
    await look();
    state.trouble = null;
  } catch (error) {
    state.trouble = error;
  }
  isLooking = false;
  render();
  const pause = 1000 * Number(state.session.pace);
  if (!document.hidden) timer = setTimeout(wake, isWanted ? Math.min(250, pause) : pause);
}

// ---- showing

function render() {
  const now = Date.now();
  const trouble = byId("trouble");
  trouble.hidden = state.trouble === null;
  setText(trouble, state.trouble?.message ?? "");
  setText(byId("engine"), state.trouble ? "not connected" : `${state.session.engine}  ·  ${state.session.version}`);
  setClass(byId("engine"), state.trouble ? "engine lost" : "engine live");
  if (state.stacks === null) return;
  byId("empty").hidden = state.stacks.length > 0;
  byId("main").hidden = state.stacks.length === 0;
  sync(byId("stacks"), state.stacks, ({ name }) => name,
    ({ name }) => h("button", { type: "button", onclick: () => go({ stack: name, service: null }) }, h("span", {}), h("span", {})),
    (button, each) => {
      const isShown = each.name === state.stack;
      setAttribute(button, "aria-current", isShown ? "page" : null);
      const own = isShown && state.services.length > 0 ? worst(state.services.map((service) => service.state)) : summaryState(each);
      setClass(button.firstChild, `square ${own}`);
      setText(button.lastChild, each.name);
    });
  document.title = state.stack === null ? "Gantry" : `${state.stack} – Gantry`;
  if (state.stack === null) return;
  summary.render(now);
  graph.render(state.services, state.service);
  detail.render(state.stack, state.services.find(({ name }) => name === state.service), state.history, now);
  changes.render(state, now);
  renderTabs();
}

function renderTabs() {
  for (const tab of TABS) {
    const isShown = tab === state.tab;
    setAttribute(byId(`tab-${tab}`), "aria-selected", isShown);
    setAttribute(byId(`tab-${tab}`), "tabindex", isShown ? 0 : -1);
    byId(`panel-${tab}`).hidden = !isShown;
  }
  logs.show(state.stack, state.tab === "logs" ? state.service : null);
  if (events.stack !== state.stack) events.show(state.stack);
}

// ---- going

/** What is shown stands in the address, behind `#`: going back works, and so does a bookmark. */
function go(place) {
  const next = { stack: state.stack, service: state.service, tab: state.tab, ...place };
  location.hash = [next.stack ?? "", next.service ?? "", next.tab].map(encodeURIComponent).join("/");
}

function arrive() {
  let parts = [];
  try {
    parts = location.hash.slice(1).split("/").map(decodeURIComponent);
  } catch {
    // Somebody wrote it by hand: the front page will do.
  }
  const [stack, service, tab] = parts;
  if (stack && stack !== state.stack) {
    clearStack();
    state.stack = stack;
  }
  if (service) state.service = service;
  const hasChangedTab = TABS.includes(tab) && tab !== state.tab;
  if (hasChangedTab) [state.tab, state.checkedAt] = [tab, 0];
  render();
  wake();
}

for (const [index, tab] of TABS.entries()) {
  byId(`tab-${tab}`).addEventListener("click", () => go({ tab }));
  byId(`tab-${tab}`).addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const next = TABS[(index + step + TABS.length) % TABS.length];
    go({ tab: next });
    byId(`tab-${next}`).focus();
  });
}
addEventListener("hashchange", arrive);
document.addEventListener("visibilitychange", () => { if (!document.hidden) wake(); });

try {
  state.session = await read("/session");
} catch (error) {
  state.trouble = error;
}
arrive();
