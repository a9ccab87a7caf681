// Elements of the page. Text is only ever set as text, so nothing that a client sent can become markup.

const SVG = "http://www.w3.org/2000/svg";

// A HTML element: attributes by name, listeners as functions, children as nodes or texts.
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

// The same for a part of a drawing.
export function shape(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export const byId = (id) => document.getElementById(id);

// Sets a text if it is another one: screen readers read again what is set again.
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Makes `parent` hold one child for each key, in this order. Children that are there already stay the same nodes, so the
// focus and what is selected stay; `make` makes those that are not.
export function keyed(parent, keys, make) {
  const known = (parent.keyed ??= new Map());
  const wanted = new Set(keys);
  for (const [key, node] of known) {
    if (!wanted.has(key)) {
      node.remove();
      known.delete(key);
    }
  }
  let next = parent.firstChild;
  for (const key of keys) {
    let node = known.get(key);
    if (!node) known.set(key, (node = make(key)));
    if (node === next) next = next.nextSibling;
    else parent.insertBefore(node, next);
  }
  return known;
}
