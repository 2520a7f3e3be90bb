// The log of the selected service, as it is written.

import { byId, h, plural, setAttribute, setText } from "./dom.js";
import { keepFollowing, logsPath } from "./engine.js";

const LINES_MAX = 2000;
const TAIL = 200;
const COLOURS = 6;

export class Logs {
  constructor() {
    this.list = h("ol", { class: "lines", tabindex: 0, "aria-label": "Lines of the log" });
    this.filter = h("input", {
      type: "search", placeholder: "Filter", "aria-label": "Show only lines with this text", autocomplete: "off",
      spellcheck: "false", oninput: () => this.applyFilter(),
    });
    this.note = h("span", { class: "note", role: "status" });
    this.jump = h("button", { type: "button", class: "jump", hidden: true, onclick: () => this.toEnd() }, "Newest ↓");
    this.title = h("strong", {});
    byId("panel-logs").append(
      h("div", { class: "tools" }, this.title, this.note, this.filter), this.list, this.jump);
    this.waiting = [];
    this.isAtEnd = true;
    this.list.addEventListener("scroll", () => {
      this.isAtEnd = this.list.scrollTop + this.list.clientHeight >= this.list.scrollHeight - 24;
      this.jump.hidden = this.isAtEnd;
    }, { passive: true });
  }

  /** `null` follows nothing. */
  show(stack, service) {
    const key = service === null ? null : `${stack}/${service}`;
    if (key === this.key) return;
    this.key = key;
    this.stop?.();
    this.stop = null;
    this.list.replaceChildren();
    [this.waiting, this.seen, this.isAtEnd] = [[], new Map(), true];
    setText(this.title, service ?? "");
    if (key === null) return;
    let tail = TAIL;
    this.stop = keepFollowing(() => logsPath(stack, service, tail), (lines) => {
      // Begun anew, it goes on where it was.
      tail = 0;
      this.take(lines);
    }, (text) => setText(this.note, text));
  }

  take(lines) {
    if (this.waiting.length === 0) requestAnimationFrame(() => this.write());
    this.waiting.push(...lines);
    if (this.waiting.length > LINES_MAX) this.waiting.splice(0, this.waiting.length - LINES_MAX);
  }

  write() {
    const wanted = this.filter.value.toLowerCase();
    const lines = this.waiting.map((line) => this.line(line, wanted));
    this.waiting = [];
    this.list.append(...lines);
    while (this.list.childElementCount > LINES_MAX) this.list.firstChild.remove();
    setText(this.note, plural(this.list.childElementCount, "line"));
    if (this.isAtEnd) this.list.scrollTop = this.list.scrollHeight;
  }

  line({ container, number, time, isError, text }, wanted) {
    if (!this.seen.has(container)) this.seen.set(container, this.seen.size % COLOURS);
    const clean = text.replace(/\u001b\[[0-9;?]*[A-Za-z]/g, "");
    const item = h("li", { class: isError ? "error" : "" },
      h("time", { datetime: time, title: time }, time.slice(11, 23)),
      h("span", { class: `who hue-${this.seen.get(container)}`, title: container }, String(number)),
      h("span", { class: "text" }, clean));
    item.hidden = wanted !== "" && !clean.toLowerCase().includes(wanted);
    return item;
  }

  applyFilter() {
    const wanted = this.filter.value.toLowerCase();
    for (const item of this.list.children) {
      item.hidden = wanted !== "" && !item.lastChild.textContent.toLowerCase().includes(wanted);
    }
    if (this.isAtEnd) this.toEnd();
  }

  toEnd() {
    this.isAtEnd = true;
    this.list.scrollTop = this.list.scrollHeight;
    setAttribute(this.jump, "hidden", "");
  }
}
