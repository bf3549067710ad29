// The page's script: it sends what is done here, and puts the server's answer in its place. The server decides all else.
"use strict";

const OWN_HEADER = { "x-provisioner": "1" };

// Sending: forms and buttons with data-send="METHOD /path".

async function send(method, path, { body, type, from } = {}) {
  const headers = type ? { ...OWN_HEADER, "content-type": type } : OWN_HEADER;
  from?.setAttribute("aria-busy", "true");
  if (from) from.disabled = true;
  try {
    take(await fetch(path, { method, headers, body }));
  } catch {
    trouble("The program does not answer. Is it still running? Nothing was changed.");
  } finally {
    if (from) from.disabled = false;
    from?.removeAttribute("aria-busy");
  }
}

async function take(response) {
  const text = await response.text();
  if (response.headers.get("content-type")?.startsWith("application/json")) {
    location.assign(JSON.parse(text).location);
  } else if (response.headers.get("content-type")?.startsWith("text/html")) {
    apply(text);
  } else if (!response.ok) {
    trouble(text);
  }
}

function fieldsOf(form) {
  const fields = {};
  for (const [name, value] of form ? new FormData(form) : []) if (typeof value === "string") fields[name] = value;
  return fields;
}

function sendFrom(element, form) {
  const [method, path] = element.dataset.send.split(" ");
  const fields = { ...fieldsOf(form), ...JSON.parse(element.dataset.value ?? "{}") };
  send(method, path, { body: JSON.stringify(fields), type: "application/json", from: element.matches("button") ? element : form.querySelector("button:not([type=button])") });
}

document.addEventListener("submit", (event) => {
  if (!event.target.dataset.send) return;
  event.preventDefault();
  sendFrom(event.target, event.target);
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.send) {
    event.preventDefault();
    sendFrom(button, button.form);
  } else if (button?.dataset.close !== undefined) {
    button.closest("dialog").close();
  }
});

// Answers: each element with an id takes the place of the one that has it.

function apply(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  let focus = null;
  for (const element of [...parsed.body.children]) {
    const old = document.getElementById(element.id);
    if (element.dataset.gone) document.getElementById(element.dataset.gone)?.remove();
    else if (element.id === "announce") announce(element.textContent);
    else if (old) old.replaceWith(element);
    else if (element.dataset.into) document.getElementById(element.dataset.into).append(element);
    else if (element.matches("dialog")) document.querySelector("main").append(element);
    if (!element.isConnected) continue;
    if (element.matches("dialog:not([open])")) element.showModal();
    focus ??= element.matches("[data-focus]") ? element : element.querySelector("[data-focus]");
    live(element);
  }
  focus?.focus();
}

function announce(text) {
  const region = document.getElementById("announce");
  region.textContent = "";
  setTimeout(() => (region.textContent = text), 50);
}

function trouble(text) {
  const region = document.getElementById("trouble");
  region.hidden = false;
  region.textContent = text;
}

// Following what happens: one event stream a page, while it can be seen.

const streams = new Map();

function open(element) {
  const stream = new EventSource(element.dataset.live);
  stream.addEventListener("message", (event) => apply(event.data));
  stream.addEventListener("go", (event) => location.assign(event.data));
  streams.set(element, stream);
}

function live(root) {
  for (const element of streams.keys()) {
    if (element.isConnected) continue;
    streams.get(element).close();
    streams.delete(element);
  }
  const found = root.querySelectorAll("[data-live]");
  for (const element of [...(root.matches?.("[data-live]") ? [root] : []), ...found]) {
    if (!document.hidden && !streams.has(element)) open(element);
  }
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    for (const stream of streams.values()) stream.close();
    streams.clear();
  } else {
    live(document);
  }
});

window.addEventListener("pageshow", (event) => event.persisted && location.reload());
live(document);
