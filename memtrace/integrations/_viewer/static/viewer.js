"use strict";
// The pages work without this script: it adds keys, filters while you type, new memories, reading on, and buttons that copy.

const rows = document.getElementById("rows");
const KEPT = 1000;
const EVERY = 2000;
const LATE = 10000;
const PARTS = 10;

// ---- filters while you type

for (const input of document.querySelectorAll("[data-narrows]"))
  input.addEventListener("input", () => {
    const wanted = input.value.toLowerCase();
    for (const item of document.querySelectorAll(input.dataset.narrows))
      item.hidden = !item.textContent.toLowerCase().includes(wanted);
  });

// ---- sliders and what they are for

for (const slider of document.querySelectorAll("input[type=range]")) {
  const number = document.getElementById(slider.dataset.number);
  slider.addEventListener("input", () => { number.value = slider.value; });
  slider.addEventListener("change", () => slider.form.requestSubmit());
  number.addEventListener("input", () => { slider.value = number.value; });
}

// ---- buttons that copy

const copies = root => {
  for (const button of root.querySelectorAll(".copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.parentElement.querySelector("pre").textContent);
      button.textContent = "Copied";
    });
  }
};
copies(document);

// ---- keys

const memories = () => [...document.querySelectorAll("main .memory")];
const step = by => {
  const all = memories();
  const now = all.findIndex(each => each.contains(document.activeElement));
  const next = all[Math.min(Math.max(now + by, 0), all.length - 1)];
  if (next) { next.focus(); next.scrollIntoView({block: "nearest"}); }
};
const keys = document.getElementById("keys");
const actions = {
  "/": () => document.getElementById("q").focus(),
  "j": () => step(1),
  "k": () => step(-1),
  "p": () => document.getElementById("live")?.click(),
  "?": () => keys.showModal(),
  "Enter": () => {
    if (document.activeElement?.matches(".memory")) document.activeElement.querySelector(".pick").click();
  },
  "Escape": () => document.querySelector(".selection .close a")?.click(),
};
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || keys.open) return;
  if (event.target.closest("input, select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.key === "Enter" && !event.target.matches(".memory")) return;
  const action = actions[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

// ---- parts of other pages

const part = async url => {
  const address = new URL(url, location.href);
  address.searchParams.set("part", "rows");
  const response = await fetch(address, {credentials: "same-origin"});
  if (!response.ok) throw new Error(String(response.status));
  return new DOMParser().parseFromString(await response.text(), "text/html").body;
};

// ---- reading on

const readOn = new IntersectionObserver(async entries => {
  const [entry] = entries.filter(each => each.isIntersecting);
  if (!entry) return;
  const next = entry.target;
  readOn.unobserve(next);
  if (memories().length >= KEPT) return;  // the link stays
  try {
    const body = await part(next.querySelector("a").href);
    next.replaceWith(...body.children);
    watchNext();
  } catch { /* the link stays */ }
}, {rootMargin: "400px"});
const watchNext = () => {
  const next = rows?.querySelector(".next");
  if (next) readOn.observe(next);
};
watchNext();

// ---- new memories

const live = document.getElementById("live");
if (live) {
  const state = document.getElementById("live-state");
  const seen = new Set(memories().map(each => each.dataset.key));
  let timer = 0;
  const since = () => {
    const newest = memories().map(each => Date.parse(each.dataset.time)).reduce((a, b) => Math.max(a, b), -Infinity);
    return Number.isFinite(newest) ? new Date(newest - LATE).toISOString() : null;
  };
  const partsSince = async address => {  // up to one that has a known memory
    const parts = [await part(address)];
    while (parts.length < PARTS) {
      const next = parts.at(-1).querySelector(".next a");
      if (!next || [...parts.at(-1).querySelectorAll(".memory")].some(each => seen.has(each.dataset.key))) break;
      parts.push(await part(next.href));
    }
    return parts;
  };
  const gap = () => {
    const link = document.createElement("a");
    const address = new URL(location.href);
    address.hash = "";
    link.href = address.href;
    link.textContent = "Reload the page";
    const notice = document.createElement("p");
    notice.className = "gap";
    notice.append("Memories are missing here: more came than this page shows. ", link, ".");
    return notice;
  };
  const forgetOldest = () => {
    const over = memories().slice(KEPT);
    if (!over.length) return;
    for (const each of over) each.remove();
    for (const each of rows.querySelectorAll(".group:not(:has(.memory))")) each.remove();
    while (rows.lastElementChild.matches(".gap, .next")) rows.lastElementChild.remove();  // they begin after what is gone
    rows.append(gap());
  };
  const look = async () => {
    const address = new URL(location.href);
    address.searchParams.delete("memory");
    const from = since();
    if (from) address.searchParams.set("since", from);
    try {
      const parts = await partsSince(address);
      const cards = parts.flatMap(body => [...body.querySelectorAll(".memory")]);
      const isCut = parts.at(-1).querySelector(".next") && !cards.some(each => seen.has(each.dataset.key));
      const fresh = cards.filter(each => !seen.has(each.dataset.key));
      for (const each of fresh) { seen.add(each.dataset.key); each.classList.add("fresh"); }
      for (const key of [...seen].slice(0, Math.max(seen.size - 5 * KEPT, 0))) seen.delete(key);
      for (const body of parts) {
        for (const each of body.querySelectorAll(".memory:not(.fresh)")) each.remove();
        for (const each of body.querySelectorAll(".group:not(:has(.memory))")) each.remove();
      }
      if (fresh.length) {
        document.querySelector(".nothing")?.remove();
        if (isCut) rows.prepend(gap());
        rows.prepend(...parts.flatMap(body => [...body.querySelectorAll(".group")]));
        forgetOldest();
        state.textContent = `${fresh.length} new`;
      } else if (state.textContent.startsWith("The")) state.textContent = "";
    } catch {
      state.textContent = "The server does not respond. The page tries again.";
    }
  };
  const tick = async () => {
    if (live.getAttribute("aria-pressed") === "true" && !document.hidden) await look();
    timer = setTimeout(tick, EVERY);
  };
  live.addEventListener("click", () => {
    const on = live.getAttribute("aria-pressed") !== "true";
    live.setAttribute("aria-pressed", String(on));
    live.textContent = on ? "Live" : "Paused";
  });
  live.parentElement.hidden = false;
  timer = setTimeout(tick, EVERY);
}
