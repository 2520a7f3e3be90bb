// Where services stand: those that wait on the left, what they wait for to the right of them, with as few crossings as
// a few sweeps find. A pure function.

export const NODE = { width: 172, height: 76 };
const GAP = { x: 48, y: 16 };
/** Height of an edge that passes a column. */
const PASS = 12;
const SWEEPS = 6;

/** `services`: `[{name, dependsOn: [{service, condition}]}]`. Answers places by name, edges with their points, size. */
export function layout(services) {
  const names = new Set(services.map((service) => service.name));
  const edges = services.flatMap((service) => service.dependsOn.filter((each) => names.has(each.service))
    .map((each) => ({ from: service.name, to: each.service, condition: each.condition })));
  const linked = new Set(edges.flatMap((edge) => [edge.from, edge.to]));
  const lone = services.filter((service) => !linked.has(service.name)).map((service) => service.name);
  const columns = fill(depths([...linked], edges), edges);
  order(columns);
  const places = new Map();
  const size = place(columns, places);
  placeLone(lone, places, size, columns.length);
  return {
    places: new Map([...places].filter(([key]) => names.has(key))),
    edges: edges.map((edge) => ({ ...edge, points: points(edge, places) })),
    width: size.width, height: size.height,
  };
}

/** The longest way from a service that nobody waits for. */
function depths(names, edges) {
  const depth = new Map(names.map((name) => [name, 0]));
  // As often as there are services at most: more would be a circle, which no stack has.
  for (let round = 0; round < names.length; round += 1) {
    let changed = false;
    for (const { from, to } of edges) {
      if (depth.get(to) > depth.get(from)) continue;
      depth.set(to, depth.get(from) + 1);
      changed = true;
    }
    if (!changed) break;
  }
  return depth;
}

const passKey = (edge, column) => `${edge.from}\n${edge.to}\n${column}`;

/** Columns of cells; an edge that passes a column has a cell in it. */
function fill(depth, edges) {
  const columns = Array.from({ length: Math.max(-1, ...depth.values()) + 1 }, () => []);
  const cells = new Map();
  const add = (key, column, height) => {
    const cell = { key, height, left: [], right: [] };
    cells.set(key, cell);
    columns[column].push(cell);
    return cell;
  };
  for (const name of [...depth.keys()].sort()) add(name, depth.get(name), NODE.height);
  for (const edge of edges) {
    let before = cells.get(edge.from);
    edge.passes = [];
    for (let column = depth.get(edge.from) + 1; column < depth.get(edge.to); column += 1) {
      const key = passKey(edge, column);
      const cell = add(key, column, PASS);
      edge.passes.push(key);
      [before.right, cell.left] = [[...before.right, cell], [before]];
      before = cell;
    }
    const last = cells.get(edge.to);
    before.right.push(last);
    last.left.push(before);
  }
  return columns;
}

/** Each cell goes to the middle of those it is linked with, from both sides in turn. */
function order(columns) {
  const rank = () => columns.forEach((column) => column.forEach((cell, index) => { cell.rank = index; }));
  rank();
  const middle = (cells, own) =>
    (cells.length === 0 ? own : cells.reduce((sum, cell) => sum + cell.rank, 0) / cells.length);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const side = sweep % 2 === 0 ? "left" : "right";
    const turn = side === "left" ? columns : [...columns].reverse();
    for (const column of turn) {
      for (const cell of column) cell.wish = middle(cell[side], cell.rank);
      column.sort((one, other) => one.wish - other.wish || one.rank - other.rank);
      column.forEach((cell, index) => { cell.rank = index; });
    }
  }
}

function place(columns, places) {
  const heights = columns.map((column) =>
    column.reduce((sum, cell) => sum + cell.height, 0) + GAP.y * Math.max(0, column.length - 1));
  const height = Math.max(0, ...heights);
  columns.forEach((column, index) => {
    let y = (height - heights[index]) / 2;
    for (const cell of column) {
      cell.y = y;
      y += cell.height + GAP.y;
    }
  });
  settle(columns, height);
  columns.forEach((column, index) => {
    for (const cell of column) {
      places.set(cell.key, { x: index * (NODE.width + GAP.x), y: Math.round(cell.y), height: cell.height, index });
    }
  });
  return { width: Math.max(0, columns.length * (NODE.width + GAP.x) - GAP.x), height };
}

/** Moves cells towards what they are linked with, as far as their neighbours let them. */
function settle(columns, height) {
  const centre = (cell) => cell.y + cell.height / 2;
  for (let round = 0; round < SWEEPS; round += 1) {
    for (const column of round % 2 === 0 ? columns : [...columns].reverse()) {
      column.forEach((cell, index) => {
        const linked = [...cell.left, ...cell.right];
        if (linked.length === 0) return;
        const wish = linked.reduce((sum, other) => sum + centre(other), 0) / linked.length - cell.height / 2;
        const above = column[index - 1];
        const below = column[index + 1];
        const least = above ? above.y + above.height + GAP.y : 0;
        const most = (below ? below.y - GAP.y : height) - cell.height;
        cell.y = Math.min(Math.max(wish, least), Math.max(least, most));
      });
    }
  }
}

/** Services that have nothing to do with others: at the end of columns that have room, else in rows below the rest. */
function placeLone(all, places, size, columnCount) {
  const names = [...all].sort();
  for (let column = columnCount - 1; column >= 0 && names.length > 0; column -= 1) {
    const cells = [...places.values()].filter((cell) => cell.index === column);
    const end = Math.max(...cells.map((cell) => cell.y + cell.height));
    const y = size.height - NODE.height;
    if (end + GAP.y > y) continue;
    places.set(names.shift(), { x: column * (NODE.width + GAP.x), y, height: NODE.height, index: column });
  }
  const perRow = Math.max(columnCount, Math.min(4, Math.ceil(Math.sqrt(names.length * 1.5))));
  const top = size.height > 0 && names.length > 0 ? size.height + GAP.y : 0;
  names.forEach((name, index) => {
    const x = (index % perRow) * (NODE.width + GAP.x);
    const y = top + Math.floor(index / perRow) * (NODE.height + GAP.y);
    places.set(name, { x, y, height: NODE.height, index: index % perRow });
    size.width = Math.max(size.width, x + NODE.width);
    size.height = Math.max(size.height, y + NODE.height);
  });
}

/** From the right side of one, through the cells on the way, to the left side of the other. */
function points(edge, places) {
  const at = (key) => places.get(key);
  const middle = (cell) => cell.y + cell.height / 2;
  const start = at(edge.from);
  const end = at(edge.to);
  const way = [[start.x + NODE.width, middle(start)]];
  for (const key of edge.passes) way.push([at(key).x, middle(at(key))], [at(key).x + NODE.width, middle(at(key))]);
  way.push([end.x, middle(end)]);
  return way;
}

/** A smooth line through the points. */
export function pathOf(way) {
  let path = `M${way[0][0]} ${way[0][1]}`;
  for (let index = 1; index < way.length; index += 1) {
    const [[x1, y1], [x2, y2]] = [way[index - 1], way[index]];
    const half = (x2 - x1) / 2;
    path += y1 === y2 ? `H${x2}` : `C${x1 + half} ${y1} ${x2 - half} ${y2} ${x2} ${y2}`;
  }
  return path;
}
