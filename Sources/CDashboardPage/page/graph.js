// The graph: services as buttons, what they wait for as lines behind them.

import { byId, h, plural, s, setAttribute, setClass, setText, sync } from "./dom.js";
import { STATE_WORDS } from "./figures.js";
import { NODE, layout, pathOf } from "./layout.js";

const SQUARES_MAX = 12;
const SCALE_MIN = 0.62;

export class Graph {
  constructor(select) {
    this.select = select;
    this.lines = s("svg", { class: "edges", "aria-hidden": "true" });
    this.nodes = h("div", { class: "nodes" });
    this.plane = h("div", { class: "plane" }, this.lines, this.nodes);
    this.frame = byId("graph");
    this.frame.append(this.plane);
    this.frame.addEventListener("keydown", (event) => this.move(event));
    new ResizeObserver(() => this.fit()).observe(this.frame);
  }

  render(services, selected) {
    const shape = JSON.stringify(services.map(({ name, dependsOn }) => [name, dependsOn]));
    if (shape !== this.shape) {
      this.shape = shape;
      this.found = layout(services);
      this.fit();
    }
    const states = new Map(services.map((service) => [service.name, service.state]));
    sync(this.lines, this.found.edges, ({ from, to }) => `${from}\n${to}`,
      () => s("g", {}, s("path", {}), s("path", { class: "head" })),
      (group, edge) => {
        const isNear = edge.from === selected || edge.to === selected;
        setClass(group, isNear ? "near" : "");
        const [x, y] = edge.points.at(-1);
        setClass(group.firstChild, `edge ${edge.condition.split("_")[1]} ${states.get(edge.to) === "failed" ? "bad" : ""}`);
        setAttribute(group.firstChild, "d", pathOf([...edge.points.slice(0, -1), [x - 7, y]]));
        setAttribute(group.lastChild, "d", `M${x - 8} ${y - 4}L${x - 1} ${y}L${x - 8} ${y + 4}Z`);
      });
    sync(this.nodes, services, ({ name }) => name, (service) => this.create(service),
      (node, service) => this.update(node, service, service.name === selected));
  }

  create({ name }) {
    const node = h("button", { type: "button", class: "node", "data-service": name, onclick: () => this.select(name) },
      h("span", { class: "node-top" }, h("span", { class: "node-name" }), h("span", { class: "node-count" })),
      h("span", { class: "node-image" }),
      h("span", { class: "node-bottom" }, h("span", { class: "squares" }), h("span", { class: "node-note" })),
      h("span", { class: "node-progress" }, h("span", {})));
    return node;
  }

  update(node, service, isSelected) {
    const { x, y } = this.found.places.get(service.name);
    node.style.left = `${x}px`;
    node.style.top = `${y}px`;
    node.style.width = `${NODE.width}px`;
    node.style.height = `${NODE.height}px`;
    setClass(node, `node ${service.state}${isSelected ? " selected" : ""}`);
    setAttribute(node, "aria-pressed", isSelected);
    setAttribute(node, "tabindex", isSelected || (!this.hasSelection && x === 0) ? 0 : -1);
    const count = service.replicas === undefined || service.wanted === null ? "" : `${service.ready}/${service.wanted}`;
    const words = nodeNote(service);
    setAttribute(node, "aria-label", `${service.name}: ${STATE_WORDS[service.state]}, ${count} ready. ${words}`);
    const [top, image, bottom, progress] = node.children;
    setText(top.children[0], service.name);
    setText(top.children[1], count);
    setText(image, shortImage(service.image));
    setAttribute(image, "title", service.image);
    const shown = service.replicas.slice(0, SQUARES_MAX);
    sync(bottom.children[0], shown, ({ container }) => container.id, () => h("span", {}),
      (square, { container, state }) => {
        setClass(square, `square ${state}`);
        setAttribute(square, "title", `${container.name}: ${STATE_WORDS[state]}`);
      });
    const hidden = service.replicas.length - shown.length;
    setText(bottom.children[1], hidden > 0 ? `+${hidden} ${words}` : words);
    const part = service.rollout && service.rollout.replicas > 0 ? service.rollout.updated / service.rollout.replicas : 0;
    progress.hidden = service.state !== "updating";
    progress.firstChild.style.width = `${Math.round(part * 100)}%`;
  }

  /** As large as it fits, and not so small that nobody can read it. */
  fit() {
    if (!this.found) return;
    const { width, height } = this.found;
    const room = [this.frame.clientWidth - 32, this.frame.clientHeight - 28];
    const scale = Math.max(SCALE_MIN, Math.min(1, room[0] / width, room[1] / height));
    const [wide, high] = [width * scale, height * scale];
    this.plane.style.width = `${width}px`;
    this.plane.style.height = `${height}px`;
    this.plane.style.left = `${Math.max(16, (this.frame.clientWidth - wide) / 2)}px`;
    this.plane.style.top = `${Math.max(14, (this.frame.clientHeight - high) / 2)}px`;
    this.plane.style.transform = `scale(${scale})`;
    setAttribute(this.lines, "width", width);
    setAttribute(this.lines, "height", height);
    setAttribute(this.lines, "viewBox", `0 0 ${width} ${height}`);
  }

  /** The arrow keys go to the nearest service in their direction. */
  move(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const name = event.target.closest?.(".node")?.dataset.service;
    const here = this.found?.places.get(name);
    if (!step || !here) return;
    event.preventDefault();
    let [best, distance] = [null, Infinity];
    for (const [other, { x, y }] of this.found.places) {
      const [along, across] = step[0] !== 0 ? [(x - here.x) * step[0], y - here.y] : [(y - here.y) * step[1], x - here.x];
      const length = along + 2 * Math.abs(across);
      if (other !== name && along > 0 && length < distance) [best, distance] = [other, length];
    }
    if (best === null) return;
    this.select(best);
    [...this.nodes.children].find((node) => node.dataset.service === best)?.focus();
  }
}

function nodeNote(service) {
  switch (service.state) {
    case "updating": return `${service.rollout.updated}/${service.rollout.replicas} new`;
    case "failed": {
      const count = service.replicas.filter((each) => each.state === "failed").length;
      return count > 0 ? `${count} failed` : "update failed";
    }
    case "ready": return "";
    default: return STATE_WORDS[service.state];
  }
}

/** Without what all images of a registry have in common. */
export function shortImage(image) {
  const name = image.split("@")[0];
  return name.split("/").slice(-2).join("/").replace(/^library\//, "");
}

export const replicaCount = (services) => plural(services.reduce((sum, each) => sum + each.replicas.length, 0), "replica");
