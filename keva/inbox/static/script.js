// What the pages do more with a script: news, drafts, keys. Each of them works without it.
"use strict";

const here = document.body.dataset;
const $ = (selector, from = document) => from.querySelector(selector);
const all = (selector, from = document) => [...from.querySelectorAll(selector)];
// Storage may be full, or switched off: then nothing is kept, and nothing else fails.
const kept = {
  read(store, name) { try { return JSON.parse(store.getItem(name)); } catch { return null; } },
  write(store, name, value) { try { store.setItem(name, JSON.stringify(value)); return true; } catch { return false; } },
  drop(store, name) { try { store.removeItem(name); } catch { /* it was never kept */ } },
};

// News: asked for while the tab is seen, announced, and shown when asked.

const SECONDS_BETWEEN_NEWS = 4;
const news = $("[data-news]");
const title = document.title;

async function lookForNews() {
  if (document.visibilityState !== "visible") return;
  let answer;
  try { answer = await fetch(news.dataset.news, { redirect: "error" }); } catch { return; } // the server is away
  if (answer.status === 401) announce('<a href="">You are not signed in any more: sign in; what you typed is kept</a>');
  if (answer.status === 200) announce(await answer.text());
}

function announce(fragment) {
  if (news.innerHTML.trim() === fragment.trim()) return;
  news.innerHTML = fragment; // ours: the server escapes what others wrote
  const count = $("[data-count]", news)?.dataset.count;
  document.title = count ? `(${count}) ${title}` : title;
}

if (news) {
  setInterval(lookForNews, SECONDS_BETWEEN_NEWS * 1000);
  document.addEventListener("visibilitychange", lookForNews);
}

// Drafts: what is typed stays in this browser, by user and ticket, until the server says that it has it.

const sent = $("[data-sent]")?.dataset.sent;

for (const form of all("form[data-draft]")) {
  const name = `keva-draft:${here.user}:${form.dataset.draft}`;
  form.autocomplete = "off"; // or "back" would bring what was sent, and it would be sent once more
  const fields = () => all("textarea, input:not([type=hidden]), select", form);
  const old = kept.read(localStorage, name);
  if (old && fields().every((field) => !field.value || field.tagName === "SELECT")) restore(form, old, fields());
  const keep = () => {
    const values = Object.fromEntries(fields().map((field) => [field.name, field.value]));
    const typed = fields().some((field) => field.value && field.tagName !== "SELECT");
    if (typed) kept.write(localStorage, name, { form: form.elements.form.value, values });
    else kept.drop(localStorage, name);
  };
  form.addEventListener("input", () => {
    form.elements.form.value = form.dataset.fresh ?? form.elements.form.value; // what was kept is another text now
    keep();
  });
  // Another tab has sent its own text, which was kept in the place of this one.
  window.addEventListener("storage", ({ key, newValue, oldValue }) => {
    if (key === name && !newValue && JSON.parse(oldValue).form !== form.elements.form.value) keep();
  });
}

for (const name of sent ? Object.keys(localStorage) : []) {
  if (name.startsWith(`keva-draft:${here.user}:`) && kept.read(localStorage, name)?.form === sent) {
    kept.drop(localStorage, name);
    for (const form of all("form[data-draft]")) if (name.endsWith(`:${form.dataset.draft}`)) forget(form);
  }
}

function restore(form, draft, fields) {
  for (const field of fields) field.value = draft.values[field.name] ?? field.value;
  form.dataset.fresh = form.elements.form.value;
  form.elements.form.value = draft.form; // the same form, should it have arrived all the same
  $("[data-kept]", form).textContent = "Your draft, kept in this browser.";
}

function forget(form) {
  if (!form.dataset.fresh) return;
  form.reset();
  form.elements.form.value = form.dataset.fresh;
  $("[data-kept]", form).textContent = "";
}

// The list that one came from, and the row.

const list = $("[data-rows]");
if (list) {
  kept.write(sessionStorage, "keva-list", location.pathname + location.search);
  list.addEventListener("click", (event) => remember(event.target.closest(".row")));
}
const back = $("[data-back]");
if (back) back.href = kept.read(sessionStorage, "keva-list") ?? back.href;
$("[data-focus]")?.focus();

const rows = () => all(list ? ".row .subject" : "[data-message]");
const remember = (row) => row && kept.write(sessionStorage, "keva-row", { ticket: row.dataset.ticket, index: all(".row").indexOf(row) });

function move(by) {
  const items = rows();
  const at = items.indexOf(document.activeElement);
  const was = list && kept.read(sessionStorage, "keva-row");
  let next = at + by;
  if (at < 0) {
    const same = was ? items.findIndex((item) => item.closest(".row").dataset.ticket === was.ticket) : -1;
    next = same >= 0 ? same : was ? was.index : list || by > 0 ? 0 : items.length - 1;
  }
  const item = items[Math.max(0, Math.min(next, items.length - 1))];
  item?.focus();
  item?.scrollIntoView({ block: "nearest" });
}
if (list && kept.read(sessionStorage, "keva-row") && document.activeElement === document.body) move(0);

// Keys: none acts while somebody types or holds a modifier; letters only when they are switched on.

function solve() {
  const form = list ? $("#solve") : $("[data-solve]");
  if (list) {
    const row = document.activeElement.closest(".row");
    if (!row) return;
    remember(row);
    form.action = `${here.root}/inbox/${row.dataset.ticket}/change`;
    form.submit();
  } else if ($("[value=solved]", form)) form.requestSubmit($("button", form));
}

function reply() {
  const row = document.activeElement.closest(".row");
  if (row) { remember(row); location.href = `${here.root}/inbox/${row.dataset.ticket}#body`; } // gets the focus there
  $("#body")?.focus();
}

const LETTERS = {
  j: () => move(1), k: () => move(-1), r: reply, s: solve, "/": () => $("#search")?.focus(), "?": () => $("#keys")?.showModal(),
};
const typing = (element) => element.matches("input, textarea, select, [contenteditable]");

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (key === "Enter" && (event.ctrlKey || event.metaKey) && target.form) {
    event.preventDefault();
    target.form.requestSubmit($(".primary", target.form));
  } else if (key === "Escape" && !$("dialog[open]")) {
    if (typing(target)) target.blur();
    else if (back) location.href = back.href;
    else if (list && location.search) location.href = `${here.root}/inbox`;
  } else if (key === "Enter" && target.matches(".subject")) {
    remember(target.closest(".row"));
  } else if (here.shortcuts === "on" && key in LETTERS && !typing(target) && !event.ctrlKey && !event.metaKey && !event.altKey && !$("dialog[open]")) {
    event.preventDefault();
    LETTERS[key]();
  }
});
