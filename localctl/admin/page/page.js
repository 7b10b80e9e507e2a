// Keeps the page as new as the gateway: each section comes as HTML when it has changed. Without it the page stays as it
// was loaded. Times become the reader's own; `skew` is how far this clock is ahead of the gateway's, in milliseconds.
"use strict";

const live = document.getElementById("live");
const skew = Date.now() - 1000 * Number(document.body.dataset.now);
const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
let source = null;
let again = 0;

function ago(then) {
  const seconds = Math.floor((Date.now() - skew - then) / 1000);
  const found = UNITS.findIndex(([, length]) => seconds >= length);
  if (found < 0 || seconds < 5) return "just now";
  const [unit, length] = UNITS[found];
  const [smaller, part] = UNITS[found + 1] || [];
  const rest = found < 2 ? Math.floor((seconds % length) / part) : 0;
  return `${Math.floor(seconds / length)} ${unit}${rest ? ` ${rest} ${smaller}` : ""} ago`;
}

function put(element, words) {
  if (element.textContent !== words) element.textContent = words; // what somebody has marked stays marked
}

function tellTimes(root) {
  const today = new Date(Date.now() - skew).toDateString();
  for (const each of root.querySelectorAll("time")) {
    const then = new Date(each.dateTime);
    const day = then.toLocaleDateString([], { dateStyle: "medium" });
    const clock = then.toLocaleTimeString([], { timeStyle: "medium" });
    each.title = `${day} ${clock}`;
    if (each.className === "ago") put(each, ago(then));
    else if (each.className === "day") put(each, day);
    else put(each, then.toDateString() === today ? clock : `${day} ${clock}`);
  }
}

function show(event) {
  const section = document.getElementById(event.type);
  const before = new Map(Array.from(section.querySelectorAll("details"), (each) => [each.id, each.open]));
  const focused = section.contains(document.activeElement) ? document.activeElement.parentElement.id : "";
  section.innerHTML = event.data;
  for (const each of section.querySelectorAll("details")) each.open = before.get(each.id) ?? each.open;
  if (focused) document.getElementById(focused)?.querySelector("summary")?.focus();
  tellTimes(section);
}

function say(words, state) {
  put(live, words);
  live.className = state;
}

function listen() {
  clearTimeout(again);
  source?.close();
  source = new EventSource("api/events?as=html");
  source.onopen = () => say("Live", "on");
  source.onerror = () => {
    say("Not live: the gateway does not answer, trying again", "off");
    if (source.readyState === EventSource.CLOSED) again = setTimeout(listen, 10000);
  };
  source.addEventListener("version", (event) => {
    if (event.data !== document.body.dataset.version) location.reload();
  });
  for (const id of ["title", "state", ...Array.from(document.querySelectorAll("section"), (each) => each.id)])
    source.addEventListener(id, show);
}

function look() {
  if (!document.hidden) return listen();
  clearTimeout(again); // a page that nobody looks at takes no place of those who do
  source?.close();
}

document.addEventListener("visibilitychange", look);
setInterval(() => tellTimes(document), 5000);
tellTimes(document);
look();
