// Brings the content anew every few seconds, unless somebody is at work on the page.
"use strict";
const EVERY_MS = 5000;

function isInUse() {
  const main = document.getElementById("main");
  const selected = String(document.getSelection()) !== "";
  return document.hidden || selected || main.contains(document.activeElement) || main.querySelector("details[open]");
}

function say(text) {
  const place = document.getElementById("refresh");
  if (place && place.textContent !== text) place.textContent = text;
}

async function refresh() {
  if (isInUse()) return say("Paused while you are at work here.");
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    // Whoever is not logged in any more is asked anew.
    if (answer.status === 401) return location.reload();
    if (!answer.ok) throw new Error(answer.status);
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (isInUse()) return;
    const scrolled = [...document.querySelectorAll(".scroll")].map((place) => place.scrollLeft);
    document.getElementById("main").replaceChildren(...next.getElementById("main").childNodes);
    document.querySelectorAll(".scroll").forEach((place, number) => { place.scrollLeft = scrolled[number] || 0; });
    document.title = next.title;
    say("Refreshed every few seconds.");
  } catch {
    say("The service does not answer; this is the last state.");
  }
}

say("Refreshed every few seconds.");
setInterval(refresh, EVERY_MS);
