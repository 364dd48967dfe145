// The captcha page's proof of work: asks for one, lets a worker do it, sends the answer.
// The picture and the sound need no script.
"use strict";

const section = document.getElementById("proof");
const form = document.getElementById("proof-form");
const button = document.getElementById("prove");
const say = (text) => { document.getElementById("progress").textContent = text; };

section.hidden = false;
form.addEventListener("submit", async (e) => {
  e.preventDefault();
  button.disabled = true;
  say("Working…");
  try {
    const res = await fetch(section.dataset.ask, { credentials: "same-origin", cache: "no-store" });
    if (!res.ok) throw new Error(String(res.status));
    const work = await res.json();
    const worker = new Worker(section.dataset.worker);
    worker.onerror = () => failed();
    worker.onmessage = (m) => {
      document.getElementById("proof-answer").value = m.data.answer;
      say("Done.");
      form.submit();
    };
    worker.postMessage(work);
  } catch {
    failed();
  }
});

function failed() {
  button.disabled = false;
  say("That did not work. Try again.");
}
