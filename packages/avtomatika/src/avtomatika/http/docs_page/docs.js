// Reads openapi.json and shows it. What comes from there is only ever set as text.

import { fillJobs, operationView } from "./forms.js";
import { el, prose } from "./schemas.js";

const byId = (id) => document.getElementById(id);
const METHODS = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
const THEMES = ["system", "light", "dark"];

async function start() {
  const state = byId("state");
  try {
    const answer = await fetch("openapi.json", { credentials: "omit" });
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    show(await answer.json());
    state.hidden = true;
  } catch (error) {
    state.setAttribute("role", "alert");
    state.textContent = `The description could not be read: ${error.message}`;
  }
}

function show(api) {
  byId("version").textContent = api.info.version;
  document.title = `${api.info.title} API`;
  const main = byId("operations");
  main.append(...prose(api.info.description ?? ""));
  for (const [tag, operations] of grouped(api)) {
    const links = el("ul");
    const section = el("section", { "aria-label": tag }, el("h2", {}, tag));
    for (const { path, method, operation } of operations) {
      const view = operationView(api, path, method, operation, () => byId("token").value.trim());
      view.addEventListener("toggle", fillJobs);
      const words = `${method} ${path} ${operation.summary ?? ""} ${operation.operationId}`.toLowerCase();
      const link = el("li", {}, el("a", { href: `#${encodeURIComponent(operation.operationId)}` }, operation.summary ?? path));
      [view.dataset.words, link.dataset.words] = [words, words];
      section.append(view);
      links.append(link);
    }
    main.append(section);
    byId("index").append(el("strong", {}, tag), links);
  }
  addEventListener("hashchange", openNamed);
  openNamed();
}

function grouped(api) {
  const groups = new Map((api.tags ?? []).map((tag) => [tag.name, []]));
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((each) => item[each])) {
      const tag = item[method].tags?.[0] ?? "Other";
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push({ path, method, operation: item[method] });
    }
  }
  return groups;
}

function openNamed() {
  const view = byId(decodeURIComponent(location.hash.slice(1)));
  if (!view?.matches("details.operation")) return;
  view.open = true;
  view.scrollIntoView();
  view.querySelector("summary").focus({ preventScroll: true });
}

function search() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const each of document.querySelectorAll("[data-words]")) {
    each.hidden = !words.every((word) => each.dataset.words.includes(word));
  }
}

function setTheme(name) {
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  byId("theme").textContent = `Theme: ${name}`;
}

function nextTheme() {
  const now = document.documentElement.dataset.theme ?? "system";
  const next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
  localStorage.setItem("avtomatika-docs-theme", next);
  setTheme(next);
}

function reveal() {
  const shown = byId("token").type === "password";
  byId("token").type = shown ? "text" : "password";
  byId("reveal").setAttribute("aria-pressed", String(shown));
}

const kept = localStorage.getItem("avtomatika-docs-theme");
setTheme(THEMES.includes(kept) ? kept : "system");
byId("theme").addEventListener("click", nextTheme);
byId("reveal").addEventListener("click", reveal);
byId("access").addEventListener("submit", (event) => event.preventDefault());
byId("search").addEventListener("input", search);
addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.closest("input, textarea, select")) {
    event.preventDefault();
    byId("search").focus();
  }
});
start();
