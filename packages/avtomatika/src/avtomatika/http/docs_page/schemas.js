// Schemas as lists, examples of them, and JSON as it came. Nothing here makes markup from text.

export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Text in which `this` is code. */
export function inline(text) {
  return text.split("`").map((piece, at) => (at % 2 ? el("code", {}, piece) : piece));
}

/** Such text, in which an empty line begins a paragraph. */
export function prose(text) {
  return text.trim().split(/\n\s*\n/).map((part) => el("p", {}, ...inline(part)));
}

export function resolved(api, schema) {
  let found = schema ?? {};
  for (let left = 32; left > 0 && typeof found.$ref === "string"; left -= 1) {
    const path = found.$ref.split("/").slice(1);
    found = path.reduce((place, key) => place?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], api) ?? {};
  }
  return found;
}

const LIMITS = {
  minimum: "≥", maximum: "≤", exclusiveMinimum: ">", exclusiveMaximum: "<", minLength: "length ≥",
  maxLength: "length ≤", minItems: "items ≥", maxItems: "items ≤", pattern: "matches", format: "format", default: "default",
};

/** What a value may be, in a few words. */
export function kind(api, schema) {
  const named = typeof schema?.$ref === "string" ? schema.$ref.split("/").pop() : null;
  const known = resolved(api, schema);
  const choices = known.anyOf ?? known.oneOf;
  if (named) return named;
  if (known.const !== undefined) return JSON.stringify(known.const);
  if (known.enum) return known.enum.map((each) => JSON.stringify(each)).join(" | ");
  if (choices && !known.properties) return [...new Set(choices.map((each) => kind(api, each)))].join(" | ");
  if (known.type === "array") return `array of ${kind(api, known.items ?? {})}`;
  return known.type ? [known.type].flat().join(" | ") : "anything";
}

function limits(schema) {
  const said = Object.entries(LIMITS).filter(([name]) => schema[name] !== undefined && schema[name] !== null);
  return said.map(([name, sign]) => `${sign} ${typeof schema[name] === "string" ? schema[name] : JSON.stringify(schema[name])}`);
}

function hasParts(known) {
  return Boolean(known.properties || known.allOf || (known.items && Object.keys(known.items).length) ||
    [known.anyOf, known.oneOf].flat().some((each) => each && (each.$ref || each.properties)));
}

/** A line for a schema; what is inside is made when somebody opens it, so that cycles are no harm. */
export function schemaView(api, schema, name = null, required = false) {
  const known = resolved(api, schema);
  const line = [
    name === null ? null : el("code", {}, name), required ? el("span", { class: "need" }, " required") : null,
    name === null ? "" : " ", el("span", {}, kind(api, schema)),
    el("small", {}, " ", ...inline([...limits(known), known.description ?? ""].filter(Boolean).join(" · "))),
  ];
  if (!hasParts(known)) return el("li", {}, ...line);
  const inner = el("ul", { class: "schema" });
  const fold = el("details", {}, el("summary", {}, ...line), inner);
  fold.addEventListener("toggle", () => {
    if (!inner.hasChildNodes()) inner.append(...parts(api, known));
  });
  fold.open = name === null && !known.anyOf;
  return el("li", {}, fold);
}

function parts(api, known) {
  const needed = new Set(known.required ?? []);
  const members = Object.entries(known.properties ?? {});
  const choices = [known.anyOf, known.oneOf].flat().filter((each) => each && (each.$ref || each.type || each.properties));
  return [
    ...(known.allOf ?? []).map((each) => schemaView(api, each)),
    ...members.map(([name, each]) => schemaView(api, each, name, needed.has(name))),
    ...choices.map((each) => schemaView(api, each, "one of")),
    ...(known.items && Object.keys(known.items).length ? [schemaView(api, known.items, "each")] : []),
  ];
}

/** A value that a form can start with: the required members, or all when none is. */
export function example(api, schema, depth = 0) {
  const known = resolved(api, schema);
  for (const given of [known.default, known.examples?.[0], known.example, known.const, known.enum?.[0]]) {
    if (given !== undefined && given !== null) return given;
  }
  const first = known.allOf?.[0] ?? (known.properties ? null : (known.anyOf ?? known.oneOf)?.[0]);
  if (first && depth < 8) return example(api, first, depth + 1);
  const type = [known.type ?? (known.properties ? "object" : "null")].flat()[0];
  if (type === "object") return exampleObject(api, known, depth);
  if (type === "array") return known.items && depth < 8 && known.minItems ? [example(api, known.items, depth + 1)] : [];
  if (type === "integer" || type === "number") return known.minimum ?? 0;
  return type === "boolean" ? false : type === "string" ? "" : null;
}

function exampleObject(api, known, depth) {
  const members = Object.entries(known.properties ?? {});
  const wanted = known.required?.length
    ? members.filter(([name]) => known.required.includes(name))
    : members.filter(([, each]) => ![resolved(api, each).type].flat().includes("null"));
  return depth > 8 ? {} : Object.fromEntries(wanted.map(([name, each]) => [name, example(api, each, depth + 1)]));
}

/** JSON with line breaks; every number and text stays as it was written. */
export function laidOut(text) {
  let depth = 0;
  const indent = () => "\n" + "  ".repeat(Math.min(depth, 40));
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[[\]{},:]|[^\s[\]{},:"]+/g) ?? [];
  return tokens.map((token, at) => {
    const next = tokens[at + 1];
    if (token === "{" || token === "[") {
      depth += 1;
      return next === "}" || next === "]" ? token : token + indent();
    }
    if (token === "}" || token === "]") {
      depth -= 1;
      const empty = tokens[at - 1] === "{" || tokens[at - 1] === "[";
      return empty ? token : indent() + token;
    }
    return token === "," ? token + indent() : token === ":" ? ": " : token;
  }).join("");
}
