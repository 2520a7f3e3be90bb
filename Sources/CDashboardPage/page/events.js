// What happens, newest first.

import { byId, clockText, h } from "./dom.js";
import { keepFollowing } from "./engine.js";

const EVENTS_MAX = 500;
/** Asked for when the page is opened. */
const PAST_SECONDS = 900;

const STATES = {
  start: "ready", die: "failed", oom: "failed", kill: "off", stop: "off", destroy: "off", create: "starting",
  "health_status: healthy": "ready", "health_status: unhealthy": "failed", pause: "paused", unpause: "ready",
};

export class Events {
  constructor(heard) {
    this.heard = heard;
    this.list = h("ol", { class: "events", tabindex: 0, "aria-label": "Events" });
    this.none = h("p", { class: "none" }, "Nothing has happened lately.");
    byId("panel-events").append(this.none, this.list);
    this.all = [];
    this.since = Math.floor(Date.now() / 1000) - PAST_SECONDS;
    keepFollowing(() => `/events?since=${this.since}`, (events) => this.take(events));
  }

  take(events) {
    const known = new Set(this.all.map(({ key }) => key));
    for (const event of events) {
      // Those of health checks would be all one sees.
      if (event.Action.startsWith("exec_")) continue;
      const key = `${event.timeNano} ${event.Type} ${event.Action} ${event.Actor.ID}`;
      if (known.has(key)) continue;
      const attributes = event.Actor.Attributes ?? {};
      this.all.unshift({
        key, time: new Date(event.time * 1000), kind: event.Type, action: event.Action,
        name: attributes.name ?? event.Actor.ID.slice(0, 40), stack: attributes["com.docker.compose.project"] ?? null,
        code: attributes.exitCode,
      });
      this.since = Math.max(this.since, event.time);
    }
    this.all.length = Math.min(this.all.length, EVENTS_MAX);
    this.render();
    this.heard();
  }

  show(stack) {
    this.stack = stack;
    this.render();
  }

  render() {
    const shown = this.all.filter((event) => event.stack === null || event.stack === this.stack);
    this.none.hidden = shown.length > 0;
    this.list.replaceChildren(...shown.map((event) => {
      const state = event.action === "die" && event.code === "0" ? "done" : STATES[event.action] ?? "off";
      const code = event.action === "die" && event.code !== undefined ? ` (${event.code})` : "";
      return h("li", {},
        h("time", { datetime: event.time.toISOString() }, clockText(event.time)),
        h("span", { class: `square ${state}` }), h("span", { class: "kind" }, event.kind),
        h("strong", {}, event.name), h("span", { class: "action" }, event.action.replace(/_/g, " ") + code));
    }));
  }
}
