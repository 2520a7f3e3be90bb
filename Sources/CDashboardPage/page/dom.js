// Elements. Whatever comes from the engine becomes text or the value of an attribute that is only read, never markup:
// names, labels and lines of logs are other people's.

const SVG = "http://www.w3.org/2000/svg";
const KNOWN = new Set([
  "class", "role", "title", "type", "id", "tabindex", "placeholder", "datetime", "hidden", "viewBox", "d", "width",
  "height", "x", "y", "x1", "x2", "y1", "y2", "r", "cx", "cy", "preserveAspectRatio", "scope", "colspan", "autocomplete",
  "spellcheck",
]);

function make(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (KNOWN.has(name) || name.startsWith("aria-") || name.startsWith("data-")) {
      element.setAttribute(name, value === true ? "" : String(value));
    } else throw new Error(`no attribute of this page: ${name}`);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** An element of HTML; children that are strings become text. */
export const h = (tag, properties = {}, ...children) => make(document.createElement(tag), properties, children);

/** An element of SVG. */
export const s = (tag, properties = {}, ...children) => make(document.createElementNS(SVG, tag), properties, children);

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setClass(element, name) {
  if (element.getAttribute("class") !== name) element.setAttribute("class", name);
}

/** Attributes that change: `null` takes one away. */
export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

/** Makes the children of `parent` those of `items`, in their order; one that stays is the same element as before, so
 * that focus and selections stay too. */
export function sync(parent, items, keyOf, create, update) {
  const before = parent.keyed ?? new Map();
  const after = new Map();
  let place = parent.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    if (after.has(key)) continue;
    const element = before.get(key) ?? create(item);
    after.set(key, element);
    update?.(element, item);
    if (element === place) place = place.nextSibling;
    else parent.insertBefore(element, place);
  }
  for (const [key, element] of before) if (!after.has(key)) element.remove();
  parent.keyed = after;
}

export const byId = (id) => document.getElementById(id);

// ---- words

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function bytesText(count) {
  if (count === null || count === undefined) return "–";
  let unit = 0;
  while (count >= 1024 && unit < UNITS.length - 1) [count, unit] = [count / 1024, unit + 1];
  return `${count.toFixed(count < 10 && unit > 0 ? 1 : 0)} ${UNITS[unit]}`;
}

/** Of one processor, as `docker stats` has it. */
export function shareText(share) {
  if (share === null || share === undefined) return "–";
  const percent = share * 100;
  return `${percent.toFixed(percent < 9.95 ? 1 : 0)}%`;
}

export function agoText(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86400)}d`;
}

export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

export function clockText(date) {
  return date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
}
