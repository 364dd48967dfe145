// Follows an order to its end: by events, and by asking with growing pauses where
// events do not come through.

import { call, wait } from "./api.js";
import { moment, money, reasonWords, span, statusWords } from "./format.js";

const final = new Set(["paid", "cancelled", "rejected", "dead_lettered"]);

// follow calls show with every state of the order that it learns of. It resolves
// with the final state, or with null when the id names nothing.
export async function follow(id, show) {
  const path = `/api/orders/${encodeURIComponent(id)}`;
  let pause = 300;
  let missing = 0;
  for (;;) {
    let order = null;
    try {
      order = await call("GET", path);
      missing = 0;
    } catch (e) {
      if (e.code === "unauthenticated") throw e;
      // Once may be a moment between two looks; three times is an answer.
      if (e.code === "not_found" && ++missing >= 3) return null;
    }
    if (order) {
      show(order);
      if (final.has(order.status)) return order;
      const last = await listen(`${path}/events`, show);
      if (last && final.has(last.status)) return last;
      if (last) pause = 300; // the stream worked; it only ended
    }
    await wait(pause * (0.75 + Math.random() / 2));
    pause = Math.min(pause * 2, 10000);
  }
}

// listen resolves with the last state when the stream ends, with null when none came.
function listen(path, show) {
  return new Promise((done) => {
    let last = null;
    const source = new EventSource(path);
    const end = () => {
      source.close();
      done(last);
    };
    source.addEventListener("order", (e) => {
      last = JSON.parse(e.data);
      show(last);
      if (final.has(last.status)) end();
    });
    source.onerror = end;
  });
}

// panel shows an order in the elements of the order panel and works its buttons.
export function panel(say) {
  const at = (name) => document.getElementById(name);
  const status = at("order-status");
  const detail = at("order-detail");
  const pay = at("pay-button");
  const cancel = at("cancel-button");
  const link = at("order-link");
  let order;
  let clock;

  function show(next) {
    order = next;
    status.dataset.status = order.status;
    status.textContent = statusWords[order.status] ?? order.status;
    link.href = `/orders/${encodeURIComponent(order.order)}`;
    link.hidden = location.pathname.startsWith("/orders/");
    const open = order.status === "pending";
    pay.hidden = cancel.hidden = !open;
    clearInterval(clock);
    if (open) {
      tick();
      clock = setInterval(tick, 1000);
    } else {
      const words = [reasonWords[order.reason] ?? ""];
      if (order.price) words.push(`${order.units} × ${money(order.price)}`);
      if (order.created_at) words.push(moment(order.created_at));
      detail.textContent = words.filter(Boolean).join(" · ");
    }
  }

  function tick() {
    const left = new Date(order.expires_at) - Date.now();
    detail.textContent = `${order.units} × ${money(order.price)} · ${left > 0 ? `${span(left)} left to pay` : "the time to pay is over"}`;
  }

  async function act(verb) {
    pay.disabled = cancel.disabled = true;
    try {
      show(await call("POST", `/api/orders/${encodeURIComponent(order.order)}/${verb}`));
      say("");
    } catch (e) {
      say(e.message);
    } finally {
      pay.disabled = cancel.disabled = false;
    }
  }
  pay.addEventListener("click", () => act("pay"));
  cancel.addEventListener("click", () => act("cancel"));
  return show;
}
