// The selected service: its rollout, its load, its replicas.

import { agoText, byId, bytesText, h, s, setAttribute, setClass, setText, shareText, sync } from "./dom.js";
import { HISTORY_MILLISECONDS, STATE_WORDS, replicaWords } from "./figures.js";

const PLOT = { width: 300, height: 54 };
/** What a plot shows at least, however little is known yet. */
const SPAN_LEAST = 60 * 1000;

export class Detail {
  constructor() {
    this.name = h("h2", {});
    this.pill = h("span", { class: "pill" });
    this.image = h("p", { class: "image" });
    this.rollout = new Rollout();
    this.failures = h("ul", { class: "failures" });
    this.share = new Plot("Processor", shareText, 0.01);
    this.memory = new Plot("Memory", bytesText, 1 << 20);
    this.rows = h("tbody", {});
    const heads = ["Replica", "State", "Restarts", "CPU", "Memory"];
    this.table = h("table", { class: "replicas" },
      h("thead", {}, h("tr", {}, ...heads.map((text) => h("th", { scope: "col" }, text)))), this.rows);
    byId("detail").append(
      h("header", { class: "detail-head" }, h("div", { class: "detail-title" }, this.name, this.pill), this.image),
      this.rollout.element, this.failures, h("div", { class: "plots" }, this.share.element, this.memory.element),
      h("div", { class: "table-frame" }, this.table));
  }

  render(stack, service, history, now) {
    byId("detail").hidden = !service;
    if (!service) return;
    setText(this.name, service.name);
    setText(this.pill, STATE_WORDS[service.state]);
    setClass(this.pill, `pill ${service.state}`);
    setText(this.image, service.image);
    setAttribute(this.image, "title", service.image);
    this.rollout.render(service.rollout);
    const failed = service.replicas.filter((each) => each.state === "failed");
    this.failures.hidden = failed.length === 0;
    sync(this.failures, failed, ({ container }) => container.id, () => h("li", {}, h("strong", {}), h("span", {})),
      (item, { container }) => {
        setText(item.firstChild, `${container.name}: `);
        setText(item.lastChild, failureWords(container));
      });
    const points = history.of(`${stack}/${service.name}`);
    this.share.render(points.map(({ at, share }) => [at, share]), now);
    this.memory.render(points.map(({ at, memory }) => [at, memory]), now);
    sync(this.rows, service.replicas, ({ container }) => container.id, () => this.createRow(),
      (row, { container, state }) => {
        const load = history.containers.get(container.name);
        const [name, status, restarts, share, memory] = row.children;
        // All names of a stack begin with its own.
        setText(name, container.name.startsWith(`${stack}-`) ? container.name.slice(stack.length + 1) : container.name);
        setAttribute(name, "title", container.name);
        setClass(status.firstChild, `square ${state}`);
        setText(status.lastChild, replicaWords(container, now));
        setAttribute(status, "title", status.textContent);
        setText(restarts, container.restarts > 0 ? String(container.restarts) : "–");
        setText(share, load ? shareText(load.share) : "–");
        setText(memory, load ? bytesText(load.memory) : "–");
        setAttribute(memory, "title", load?.limit ? `of ${bytesText(load.limit)}` : null);
      });
  }

  createRow() {
    return h("tr", {}, h("th", { scope: "row" }),
      h("td", { class: "status" }, h("span", {}), h("span", {})), ...[0, 1, 2].map(() => h("td", { class: "number" })));
  }
}

function failureWords({ state, exitCode, health, note, restarts }) {
  const words = [state === "running" ? health : `ended with code ${exitCode ?? "?"}`];
  if (note) words.push(note);
  if (restarts > 0) words.push(`restarted ${restarts === 1 ? "once" : `${restarts} times`}`);
  return words.join(", ");
}

class Rollout {
  constructor() {
    this.words = h("span", {});
    this.updated = h("span", { class: "updated" });
    this.state = h("strong", {});
    this.problems = h("ul", { class: "problems" });
    this.bar = h("div", { class: "meter", role: "progressbar", "aria-label": "Updated replicas" }, this.updated);
    this.element = h("section", { class: "rollout", hidden: true },
      h("p", { class: "rollout-words" }, this.state, this.words), this.bar, this.problems);
  }

  render(rollout) {
    const isShown = rollout !== undefined && (rollout.state !== "complete" || rollout.problems.length > 0);
    this.element.hidden = !isShown;
    if (!isShown) return;
    const words = { progressing: "Updating", canary: "Canary waits", paused: "Rollout paused", failed: "Rollout failed", complete: "Updated" };
    setText(this.state, words[rollout.state] ?? rollout.state);
    setText(this.words, `${rollout.updated} of ${rollout.replicas} updated · ${rollout.ready} ready`);
    setAttribute(this.bar, "aria-valuenow", rollout.updated);
    setAttribute(this.bar, "aria-valuemax", rollout.replicas);
    setClass(this.element, `rollout ${rollout.state}`);
    this.updated.style.width = `${rollout.replicas > 0 ? (100 * rollout.updated) / rollout.replicas : 0}%`;
    sync(this.problems, rollout.problems.map((each) => each.message), (message) => message,
      (message) => h("li", {}, message));
  }
}

/** A line over the last minutes, with its last value and its largest. */
export class Plot {
  constructor(title, write, least) {
    this.write = write;
    this.least = least;
    this.value = h("strong", {});
    this.start = h("span", {});
    this.most = h("span", {});
    this.area = s("path", { class: "area" });
    this.line = s("path", { class: "line" });
    this.mark = s("line", { class: "mark", y1: 0, y2: PLOT.height });
    this.svg = s("svg", {
      viewBox: `0 0 ${PLOT.width} ${PLOT.height}`, preserveAspectRatio: "none", role: "img", tabindex: 0,
      onpointermove: (event) => this.look(event), onpointerleave: () => this.look(null),
    }, this.area, this.line, this.mark);
    this.element = h("figure", { class: "plot" },
      h("figcaption", {}, h("span", {}, title), this.value), this.svg,
      h("p", { class: "plot-axis" }, this.start, this.most));
    this.title = title;
    this.points = [];
  }

  render(points, now) {
    this.points = points;
    const top = Math.max(this.least, ...points.map(([, value]) => value)) * 1.15;
    const span = Math.min(HISTORY_MILLISECONDS, Math.max(SPAN_LEAST, now - (points[0]?.[0] ?? now)));
    const x = (at) => PLOT.width * (1 - (now - at) / span);
    setText(this.start, `${agoText(span)} ago`);
    const y = (value) => PLOT.height - 1 - (PLOT.height - 4) * (value / top);
    const way = points.map(([at, value]) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("L");
    setAttribute(this.line, "d", way ? `M${way}` : "");
    setAttribute(this.area, "d", way ? `M${way}V${PLOT.height}H${x(points[0][0]).toFixed(1)}Z` : "");
    const last = points.at(-1)?.[1];
    const most = points.length > 0 ? Math.max(...points.map(([, value]) => value)) : undefined;
    setText(this.most, `at most ${this.write(most)}`);
    setAttribute(this.svg, "aria-label", `${this.title}: ${this.write(last)}, at most ${this.write(most)}`);
    this.x = x;
    this.now = now;
    if (!this.isLookedAt) setText(this.value, this.write(last));
  }

  /** The value under the pointer. */
  look(event) {
    this.isLookedAt = event !== null && this.points.length > 0;
    setClass(this.mark, this.isLookedAt ? "mark shown" : "mark");
    if (!this.isLookedAt) return setText(this.value, this.write(this.points.at(-1)?.[1]));
    const box = this.svg.getBoundingClientRect();
    const wanted = PLOT.width * ((event.clientX - box.left) / box.width);
    const near = this.points.reduce((best, point) =>
      (Math.abs(this.x(point[0]) - wanted) < Math.abs(this.x(best[0]) - wanted) ? point : best));
    setAttribute(this.mark, "x1", this.x(near[0]));
    setAttribute(this.mark, "x2", this.x(near[0]));
    setText(this.value, `${this.write(near[1])} · ${agoText(this.now - near[0])} ago`);
  }
}
