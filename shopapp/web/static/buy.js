// The product page: an honest button, the captcha, the purchase, the result.

import { call, me, wait } from "./api.js";
import { span } from "./format.js";
import { follow, panel } from "./order.js";

export function product(root) {
  const at = (name) => document.getElementById(name);
  const sale = encodeURIComponent(root.dataset.sale);
  const button = at("buy-button");
  const form = at("captcha-form");
  const image = at("captcha-image");
  const audio = at("captcha-audio");
  const answer = at("captcha-answer");
  const submit = at("buy-submit");
  const say = (text) => { at("message").textContent = text; };
  const show = panel(say);

  let state = null; // the sale as the server told it last
  let offset = 0; // the server's clock minus ours, ms
  let user = null;
  let bought = null; // the id of this visitor's order
  let busy = false;
  const now = () => Date.now() + offset;

  async function refresh() {
    const sent = Date.now();
    try {
      state = await call("GET", `/api/sales/${sale}`);
      offset = new Date(state.server_time) - (sent + Date.now()) / 2;
    } catch (e) {
      if (!state) say(e.message);
    }
    draw();
  }

  function draw() {
    if (!state) return;
    const starts = new Date(state.starts_at) - now();
    const ends = new Date(state.ends_at) - now();
    at("countdown").textContent = starts > 0 ? `Opens in ${span(starts)}` : ends > 0 ? `Ends in ${span(ends)}` : "The sale has ended.";
    at("stock").textContent = starts > 0 || ends <= 0 ? "" : state.sold_out ? "Sold out. Units that are not paid for come back." : `${state.stock_left} left`;
    if (busy || !form.hidden) return;
    const set = (text, enabled) => { button.textContent = text; button.disabled = !enabled; };
    if (bought) set("You have bought this", false);
    else if (ends <= 0) set("The sale has ended", false);
    else if (starts > 0) set(`Opens in ${span(starts)}`, false);
    else if (state.sold_out) set("Sold out", false);
    else set(user ? "Buy now" : "Log in to buy", true);
  }

  async function newCaptcha(kind) {
    answer.value = "";
    const url = `/api/sales/${sale}/captcha?t=${Date.now()}${kind ? `&kind=${kind}` : ""}`;
    // One request, whose status is seen: a picture that only fails says nothing.
    const res = await fetch(url, { credentials: "same-origin", cache: "no-store" });
    if (!res.ok) {
      say(res.status === 429 ? `Too many pictures. Wait ${res.headers.get("Retry-After")} s.` : "The captcha cannot be drawn now. Try again.");
      return;
    }
    const media = URL.createObjectURL(await res.blob());
    const player = kind === "audio" ? audio : image;
    if (player.src) URL.revokeObjectURL(player.src);
    player.src = media;
    image.hidden = kind === "audio";
    audio.hidden = kind !== "audio";
  }

  button.addEventListener("click", async () => {
    if (!user) {
      location.href = `/login?next=${encodeURIComponent(location.pathname)}`;
      return;
    }
    say("");
    form.hidden = false;
    button.hidden = true;
    await newCaptcha().catch(() => say("The captcha cannot be fetched."));
    answer.focus();
  });
  at("captcha-refresh").addEventListener("click", () => newCaptcha().catch(() => say("The captcha cannot be fetched.")));
  at("captcha-sound").addEventListener("click", async () => {
    await newCaptcha("audio").catch(() => say("The sound cannot be fetched."));
    audio.play().catch(() => {});
  });

  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    if (busy) return;
    busy = true;
    submit.disabled = true;
    say("");
    try {
      const minted = await call("POST", `/api/sales/${sale}/path`, { captcha: answer.value });
      await buy(minted);
    } catch (e) {
      await refused(e);
    } finally {
      busy = false;
      submit.disabled = false;
      draw();
    }
  });

  // buy presses the button. After an unclear answer it asks for the order, and never
  // for a second path, until the id is known to name nothing.
  async function buy(minted) {
    for (let pause = 300; ; pause = Math.min(pause * 2, 5000)) {
      try {
        await call("POST", `/api/sales/${sale}/orders/${minted.path}`);
        return watch(minted.order);
      } catch (e) {
        if (e.code === "network" || e.code === "unknown_outcome") {
          say("The answer did not arrive. Looking for your order…");
          if (await watch(minted.order)) return;
        } else if (e.code !== "unavailable" && e.code !== "sale_closed") {
          throw e;
        }
        await wait(Math.max(pause, (e.retryAfter || 0) * 1000));
      }
    }
  }

  // watch shows the order until it is final; false when there is no such order.
  async function watch(id) {
    form.hidden = true;
    at("result").hidden = false;
    show({ order: id, status: "undecided" });
    const last = await follow(id, (order) => {
      say("");
      bought = order.status === "cancelled" || order.status === "rejected" ? null : id;
      show(order);
      draw();
    });
    if (!last) at("result").hidden = true;
    button.hidden = false;
    refresh();
    return Boolean(last);
  }

  async function refused(e) {
    switch (e.code) {
      case "captcha_wrong":
      case "captcha_required":
        say("That was not the result. Here is another one.");
        await newCaptcha().catch(() => {});
        answer.focus();
        return;
      case "rate_limited": {
        for (let s = e.retryAfter || 1; s > 0; s--) {
          say(`Not so fast: try again in ${s} s.`);
          await wait(1000);
        }
        say("");
        await newCaptcha().catch(() => {});
        return;
      }
      case "unauthenticated":
        location.href = `/login?next=${encodeURIComponent(location.pathname)}`;
        return;
      case "already_bought":
        say("You have bought this already.");
        if (e.order) watch(e.order);
        break;
      case "sold_out":
        say("Sold out. Units that are not paid for come back: look again later.");
        break;
      default:
        say(e.message);
    }
    form.hidden = true;
    button.hidden = false;
    refresh();
  }

  // A visitor who comes back finds the order.
  async function returning() {
    user = await me();
    draw();
    if (!user) return;
    const { orders } = await call("GET", "/api/orders");
    const mine = orders.find((o) => o.sale === root.dataset.sale && !["cancelled", "rejected"].includes(o.status));
    if (mine) {
      bought = mine.order;
      watch(mine.order);
    }
  }

  refresh();
  returning().catch((e) => say(e.message));
  setInterval(draw, 250);
  setInterval(() => { if (!document.hidden) refresh(); }, 5000);
}
