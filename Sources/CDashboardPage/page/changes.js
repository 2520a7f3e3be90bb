// What is not as it was applied, and what `gantry reconcile` would do.

import { agoText, byId, h, setClass, setText, sync } from "./dom.js";

const POLICIES = { repair: "is repaired", warn: "is only reported", ignore: "is ignored" };

export class Changes {
  constructor() {
    this.drift = h("ul", { class: "entries" });
    this.driftNone = h("p", { class: "none" });
    this.plan = h("ul", { class: "entries" });
    this.planNone = h("p", { class: "none" });
    this.repaired = h("ul", { class: "repaired" });
    this.repairedPart = h("section", { hidden: true }, h("h4", {}, "Put right lately"), this.repaired);
    byId("panel-changes").append(h("div", { class: "columns" },
      h("section", {}, h("h3", {}, "Drift"), this.driftNone, this.drift, this.repairedPart),
      h("section", {}, h("h3", {}, "Plan"), this.planNone, this.plan)));
    this.count = byId("drift-count");
  }

  render({ drift, driftTrouble, plan, planTrouble }, now) {
    const entries = drift?.entries ?? [];
    this.count.hidden = entries.length === 0;
    setText(this.count, String(entries.length));
    setText(this.driftNone, driftTrouble ?? (drift ? "Everything is as it was applied." : "Looking …"));
    this.driftNone.hidden = entries.length > 0 && !driftTrouble;
    sync(this.drift, entries, (entry) => `${entry.address}\n${entry.class}\n${entry.detail}`, createEntry,
      (item, entry) => {
        setClass(item, `entry ${entry.policy}`);
        fill(item, entry.class, entry.address, entry.detail,
          `${entry.repair ?? POLICIES[entry.policy] ?? entry.policy} · for ${agoText(now - Date.parse(entry.since))}`);
      });
    const repaired = drift?.repaired ?? [];
    this.repairedPart.hidden = repaired.length === 0;
    sync(this.repaired, [...repaired].reverse().map((text) => text.replace(/ \(\d+s ago\)$/, "")), (text) => text,
      (text) => h("li", {}, text));
    const changes = plan?.changes ?? [];
    setText(this.planNone, planTrouble ?? (plan ? "Nothing to do." : "Looking …"));
    this.planNone.hidden = changes.length > 0 && !planTrouble;
    sync(this.plan, changes, (change) => `${change.address}\n${change.action}`, createEntry, (item, change) => {
      setClass(item, `entry ${change.action}`);
      fill(item, change.action, change.name, change.reason, (change.fields ?? []).map(({ path }) => path).join(", "));
    });
  }
}

const createEntry = () => h("li", {}, h("span", { class: "tag" }),
  h("span", { class: "entry-body" }, h("strong", {}), h("span", { class: "entry-text" }), h("small", {})));

function fill(item, tag, name, text, more) {
  setText(item.firstChild, tag);
  const [title, body, small] = item.lastChild.children;
  setText(title, name);
  setText(body, text);
  setText(small, more);
  small.hidden = more === "";
}
