// One operation: what it takes, a form that sends it, and what came back.

import { el, example, inline, kind, laidOut, prose, resolved, schemaView } from "./schemas.js";

const ROOT = new URL("..", location.href); // the page is at ROOT/_public/docs
const METHODS_WITH_BODY = new Set(["post", "put", "patch"]);
const SHOWN = 1_000_000;
let counter = 0;

export function operationView(api, path, method, operation, token) {
  const content = el("div", {});
  const anonymous = !(operation.security ?? api.security ?? []).length;
  const view = el("details", { class: "operation", id: operation.operationId },
    el("summary", {}, el("span", { class: `method ${method}` }, method.toUpperCase()), el("span", { class: "path" }, path),
      el("span", {}, operation.summary ?? ""), anonymous ? el("small", {}, "needs no token") : null), content);
  view.addEventListener("toggle", () => {
    if (view.open && !content.hasChildNodes()) fill(content, api, path, method, operation, anonymous ? () => "" : token);
  });
  return view;
}

function fill(content, api, path, method, operation, token) {
  const fields = (operation.parameters ?? []).map((each) => field(api, resolved(api, each)));
  const body = bodyField(api, method, operation);
  const output = el("div", { "aria-live": "polite" });
  const send = el("button", { class: "send" }, "Send");
  const stop = el("button", { type: "button", disabled: true }, "Stop");
  const copy = el("button", { type: "button" }, "Copy as curl");
  const form = el("form", { novalidate: true }, fields.length ? el("h3", {}, "Parameters") : null, ...fields.map((each) => each.view),
    body?.view, el("div", { class: "row" }, send, stop, copy, el("small", {}, "Ctrl+Enter sends")), output);
  const read = () => request(path, method, fields, body, token());
  let running = null;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const missing = fields.filter((each) => !each.check())[0];
    if (missing) return missing.input.focus();
    running = new AbortController();
    [send.disabled, stop.disabled] = [true, false];
    output.replaceChildren(el("p", {}, "Waiting for the answer …"));
    output.replaceChildren(await exchange(read(), running.signal));
    [send.disabled, stop.disabled] = [false, true];
    return undefined;
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !send.disabled) form.requestSubmit();
  });
  stop.addEventListener("click", () => running?.abort());
  copy.addEventListener("click", async () => {
    const command = curl(read());
    try {
      await navigator.clipboard.writeText(command);
      copy.textContent = "Copied";
    } catch {
      output.replaceChildren(el("pre", { tabindex: "0" }, command));
    }
  });
  content.append(...prose(operation.description ?? ""), form, el("h3", {}, "Answers"), ...answers(api, operation));
}

function field(api, parameter) {
  const schema = resolved(api, parameter.schema);
  const id = `field-${(counter += 1)}`;
  const choices = schema.enum ?? (schema.type === "boolean" ? ["true", "false"] : null);
  const said = { id, name: parameter.name, "aria-describedby": `${id}-note`, required: parameter.required };
  const input = choices
    ? el("select", said, el("option", { value: "" }, ""), ...choices.map((each) => el("option", { value: each }, String(each))))
    : el("input", { ...said, spellcheck: "false", autocomplete: "off", placeholder: schema.default ?? "" });
  const check = () => {
    const good = !parameter.required || input.value !== "";
    input.setAttribute("aria-invalid", String(!good));
    return good;
  };
  const note = [...inline(parameter.description ?? ""), ` ${kind(api, parameter.schema)}, in ${parameter.in}`];
  const view = el("div", { class: "field" },
    el("label", { for: id }, parameter.name, parameter.required ? el("span", { class: "need" }, " required") : null), input,
    el("span", { class: "note", id: `${id}-note` }, ...note));
  return { view, input, parameter, check };
}

function bodyField(api, method, operation) {
  const [type, media] = Object.entries(resolved(api, operation.requestBody).content ?? {})[0] ?? [];
  if (!media || !METHODS_WITH_BODY.has(method)) return null;
  const id = `field-${(counter += 1)}`;
  const input = el("textarea", { id, spellcheck: "false", "aria-describedby": `${id}-note` });
  input.value = JSON.stringify(media.example ?? example(api, media.schema), null, 2);
  const note = el("span", { class: "note", id: `${id}-note`, "aria-live": "polite" });
  const check = () => {
    let wrong = "";
    try {
      if (input.value.trim()) JSON.parse(input.value);
    } catch (error) {
      wrong = `Not JSON: ${error.message}`;
    }
    input.setAttribute("aria-invalid", String(wrong !== ""));
    note.textContent = wrong;
  };
  if (type.includes("json")) input.addEventListener("input", check);
  const view = el("div", {}, el("h3", {}, el("label", { for: id }, "Body")), ...prose(operation.requestBody.description ?? ""),
    el("ul", { class: "schema" }, schemaView(api, media.schema)), input, note);
  return { view, input, type };
}

function request(path, method, fields, body, token) {
  const headers = new Map(token ? [["X-Client-Token", token]] : []);
  const query = new URLSearchParams();
  let filled = path;
  for (const { parameter, input } of fields) {
    if (input.value === "") continue;
    if (parameter.in === "path") filled = filled.replace(`{${parameter.name}}`, () => encodeURIComponent(input.value));
    else if (parameter.in === "query") query.append(parameter.name, input.value);
    else headers.set(parameter.name, input.value);
  }
  const text = body?.input.value.trim() ? body.input.value : undefined;
  if (text !== undefined) headers.set("Content-Type", body.type);
  const asked = query.size ? `?${query}` : "";
  return { url: new URL(`.${filled}${asked}`, ROOT), method: method.toUpperCase(), headers, text };
}

async function exchange({ url, method, headers, text }, signal) {
  const began = performance.now();
  try {
    const options = { method, headers: [...headers], body: text, signal, credentials: "omit", redirect: "manual" };
    const answer = await fetch(url, options);
    const data = await answer.blob();
    return await answerView(answer, data, Math.round(performance.now() - began));
  } catch (error) {
    const why = error.name === "AbortError" ? "Stopped; the request may have been received all the same." : `No answer: ${error.message}`;
    return el("p", { class: "answer bad" }, why);
  }
}

async function answerView(answer, data, took) {
  const type = answer.headers.get("Content-Type") ?? "";
  const text = await data.slice(0, SHOWN).text();
  const shown = type.includes("json") && data.size <= SHOWN ? laidOut(text) : text;
  const pre = el("pre", { tabindex: "0", "aria-label": "Body of the answer" }, shown + (data.size > SHOWN ? "\n…" : ""));
  const fold = el("details", {}, el("summary", {}, "Headers"),
    el("pre", { tabindex: "0" }, [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n")));
  remember(type, text);
  return el("section", { class: `answer ${answer.ok ? "good" : "bad"}`, "aria-label": "Answer" },
    el("p", {}, el("strong", {}, `${answer.status} ${answer.statusText}`), el("small", {}, ` ${took} ms, ${data.size} bytes`)),
    type.startsWith("image/") ? el("img", { src: URL.createObjectURL(data), alt: "The answer as a picture" }) : null,
    text ? pre : null, fold);
}

/** The job that was made last is what empty fields for a job mean. */
function remember(type, text) {
  try {
    const job = type.includes("json") ? JSON.parse(text).job_id : undefined;
    if (typeof job !== "string") return;
    document.body.dataset.job = job;
    fillJobs();
  } catch {
    // An answer that is no JSON names no job.
  }
}

export function fillJobs() {
  const job = document.body.dataset.job ?? "";
  for (const input of document.querySelectorAll('input[name="job_id"]')) {
    if (input.value === "" || input.value === input.dataset.given) [input.value, input.dataset.given] = [job, job];
  }
}

function curl({ url, method, headers, text }) {
  const quoted = (value) => `'${value.replaceAll("'", "'\\''")}'`;
  const named = [...headers].map(([name, value]) =>
    name === "X-Client-Token" ? '-H "X-Client-Token: $CLIENT_TOKEN"' : `-H ${quoted(`${name}: ${value}`)}`);
  const data = text === undefined ? [] : [`--data-binary ${quoted(text)}`];
  return ["curl", ...(method === "GET" ? [] : [`-X ${method}`]), ...named, ...data, quoted(url.href)].join(" ");
}

function answers(api, operation) {
  return Object.entries(operation.responses ?? {}).map(([status, given]) => {
    const answer = resolved(api, given);
    const headers = Object.keys(answer.headers ?? {});
    const bodies = Object.entries(answer.content ?? {}).map(([type, media]) =>
      el("ul", { class: "schema" }, el("li", {}, el("small", {}, type)), media.schema ? schemaView(api, media.schema) : null));
    const [first] = prose(answer.description ?? "");
    first?.prepend(el("strong", {}, status), " ");
    return el("details", {}, el("summary", {}, ...(first?.childNodes ?? [status])),
      headers.length ? el("p", {}, el("small", {}, `Headers: ${headers.join(", ")}`)) : null, ...bodies);
  });
}
