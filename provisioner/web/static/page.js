// The page's script: it sends what is done here, and puts the server's answer in its place. The server decides all else.
"use strict";

const OWN_HEADER = { "x-provisioner": "1" };

// Sending: forms and buttons with data-send="METHOD /path".

async function send(method, path, { body, type, from } = {}) {
  const headers = type ? { ...OWN_HEADER, "content-type": type } : OWN_HEADER;
  const focused = from && document.activeElement === from;
  busy(from, true);
  document.getElementById("trouble").hidden = true;
  const answer = await fetch(path, { method, headers, body }).then(async (response) => [response, await response.text()]).catch(() => null);
  busy(from, false);
  if (answer) take(...answer, from);
  else trouble("The program does not answer. If it has ended, start it again, and go on in the page that it opens. What was saved is kept; what you did last may have to be done again.");
  if (focused && from.isConnected && document.activeElement === document.body) from.focus();
}

// While something is under way it is not sent again, and nothing is typed into fields that the answer may replace.
function busy(button, is) {
  if (!button) return;
  button.disabled = is;
  button.setAttribute("aria-busy", is);
  for (const field of button.form?.elements ?? []) if (field.matches("[data-changed]")) field.readOnly = is;
}

function take(response, text, from) {
  if (response.headers.get("content-type")?.startsWith("application/json")) {
    location.assign(JSON.parse(text).location);
  } else if (response.headers.get("content-type")?.startsWith("text/html")) {
    apply(text, from);
  } else if (!response.ok) {
    trouble(text);
  }
}

// A field with data-changed is sent only if something was typed into it: what a field shows may be less than what is
// kept, such as a text without its line breaks, or nothing of a password.
function typed(field) {
  return field.value !== field.defaultValue.replace(/[\r\n]/g, "");
}

function typedIn(root, except) {
  return [...root.querySelectorAll("[data-changed]")].find((field) => field.form !== except && typed(field));
}

// A button with data-unsaved does nothing while something typed is not saved: its text says so, with the field's name
// in the place of {}.
function mustWait(button) {
  const field = button.dataset.unsaved && typedIn(document, button.form);
  if (!field) return false;
  trouble(button.dataset.unsaved.replace("{}", () => field.getAttribute("aria-label")));
  field.focus();
  return true;
}

function fieldsOf(form) {
  const fields = {};
  for (const field of form?.elements ?? []) {
    if (!field.name || field.matches("button") || (field.dataset.changed !== undefined && !typed(field))) continue;
    if (field.matches("[type=checkbox], [type=radio]") && !field.checked) continue;
    if (field.type !== "file") fields[field.name] = field.value;
  }
  return fields;
}

// `at` is the name of the field in which Enter was pressed.
function sendFrom(element, form) {
  const [method, path] = element.dataset.send.split(" ");
  const at = form && document.activeElement?.form === form && document.activeElement.matches("input") ? { at: document.activeElement.name } : {};
  const own = [form, element].map((each) => JSON.parse(each?.dataset.value ?? "{}"));
  const fields = Object.assign({}, fieldsOf(form), at, ...own);
  send(method, path, { body: JSON.stringify(fields), type: "application/json", from: element.matches("button") ? element : form.querySelector("button:not([type=button])") });
}

document.addEventListener("submit", (event) => {
  if (!event.target.dataset.send) return;
  event.preventDefault();
  sendFrom(event.target, event.target);
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  const secret = document.getElementById(button?.dataset.shows);
  if (secret && (secret.value || !button.dataset.send)) {
    const hidden = secret.type === "password";
    secret.type = hidden ? "text" : "password";
    button.textContent = hidden ? "Hide" : "Show";
  } else if (button?.dataset.send) {
    event.preventDefault();
    if (!mustWait(button)) sendFrom(button, button.form);
  } else if (button?.dataset.close !== undefined) {
    button.closest("dialog").close();
  }
});

// Escape in a dialog does what its button with data-back does.
document.addEventListener(
  "cancel",
  (event) => {
    const back = event.target.querySelector?.("[data-back]");
    if (!back) return;
    event.preventDefault();
    back.click();
  },
  true,
);

// Answers: each element with an id takes the place of the one that has it; rows come in a table without one.

function apply(html, from) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  const at = document.activeElement;
  const form = from?.form ?? null;
  // Somebody who is in another field by now stays there.
  const mayMove = !from || at === document.body || at === from || (form && at.form === form);
  let focus = null;
  for (const element of [...parsed.body.children].flatMap((each) => (each.matches("table:not([id])") ? [...each.tBodies] : [each]))) {
    const old = document.getElementById(element.id);
    if (element.dataset.gone) gone(document.getElementById(element.dataset.gone));
    else if (element.id === "announce") announce(element.textContent);
    else if (old) replace(old, element, form);
    else if (element.dataset.into) document.getElementById(element.dataset.into)?.append(element);
    else if (element.matches("dialog")) document.querySelector("main").append(element);
    if (element.ownerDocument !== document || !element.isConnected) continue;
    if (element.matches("dialog:not([open])")) {
      opener ??= from?.id;
      element.showModal();
    }
    focus ??= element.matches("[data-focus], [data-then]") ? element : element.querySelector("[data-focus]");
    live(element);
  }
  if (!mayMove) return;
  if (focus?.dataset.then) focus = onward(focus);
  if (focus?.matches("[data-follow]")) focus.click();
  else focus?.focus();
  focus?.removeAttribute("data-focus");
}

// A dialog that goes gives the focus back to the button that led to it.
let opener = null;

function gone(element) {
  element?.remove();
  if (!element?.matches("dialog")) return;
  (document.getElementById(opener) ?? document.getElementById("main")).focus();
  opener = null;
}

// What was typed into another form and not sent is not replaced; data-keep keeps what was typed into this one.
function replace(old, element, form) {
  if (typedIn(old, form) || (old.isEqualNode(element) && !old.matches("dialog"))) return;
  if (element.dataset.keep !== undefined) {
    for (const field of old.querySelectorAll("[data-changed]")) {
      const same = element.querySelector(`#${CSS.escape(field.id)}`);
      if (same && typed(field)) same.value = field.value;
    }
  }
  old.replaceWith(element);
}

// The first element after this one that its data-then selects, else the one that its data-else does.
function onward(element) {
  const after = (each) => !element.contains(each) && element.compareDocumentPosition(each) & Node.DOCUMENT_POSITION_FOLLOWING;
  return [...document.querySelectorAll(element.dataset.then)].find(after) ?? document.querySelector(element.dataset.else);
}

window.addEventListener("beforeunload", (event) => typedIn(document) && event.preventDefault());

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
  let lost = false;
  stream.addEventListener("error", () => {
    lost = true;
    trouble("The program does not answer. If it has ended, start it again, and go on in the page that it opens: nothing is lost.");
  });
  stream.addEventListener("open", () => {
    if (lost) document.getElementById("trouble").hidden = true;
    lost = false;
  });
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

for (const dialog of document.querySelectorAll("dialog[data-open]")) dialog.showModal();
window.addEventListener("pageshow", (event) => event.persisted && location.reload());
live(document);

// Sheets: dropped, chosen, or their rows pasted.

let chosen = null;

async function upload(file, existing = "", to = "") {
  const zone = document.querySelector("[data-drop]");
  if (file.size > Number(zone.dataset.most)) return trouble(zone.dataset.tooLarge);
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    return trouble("That file cannot be read. Is it a folder, or open in another program?");
  }
  chosen = file;
  announce(`Reading ${file.name}…`);
  const query = new URLSearchParams({ name: file.name, existing });
  await send("PUT", `${to || zone.dataset.drop}?${query}`, { body: file, type: "application/octet-stream" });
}

function uploadOne(files) {
  if (files.length > 1) trouble("Drop one sheet at a time.");
  else if (files.length) upload(files[0]);
}

document.addEventListener("change", (event) => {
  if (!event.target.matches("input[data-upload]")) return;
  uploadOne(event.target.files);
  // The browser tells of no choice that is the same as the one before.
  event.target.value = "";
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-upload]");
  if (button && chosen) {
    button.closest("dialog").close();
    upload(chosen, button.dataset.upload, button.dataset.to);
  }
});

for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    // Elsewhere the browser would leave the page and show the file.
    event.preventDefault();
    const zone = document.querySelector("[data-drop]");
    zone?.classList.toggle("over", kind === "dragover");
    if (kind === "drop" && zone) uploadOne(event.dataTransfer.files);
  });
}

document.addEventListener("paste", (event) => {
  const field = document.querySelector("textarea[data-paste]");
  if (!field || event.target.closest("input, textarea")) return;
  const text = event.clipboardData.getData("text/plain");
  if (!text.trim()) return;
  event.preventDefault();
  field.closest("details").open = true;
  field.value = text;
  field.focus();
});
