// The lists: sales on the first page, a visitor's orders, the administrator's table.

import { call } from "./api.js";
import { moment, money, span, statusWords } from "./format.js";

const words = (sale, now) => {
  const starts = new Date(sale.starts_at) - now;
  const ends = new Date(sale.ends_at) - now;
  if (starts > 0) return `Opens in ${span(starts)}`;
  if (ends <= 0) return "Ended";
  return sale.sold_out ? "Sold out" : `${sale.stock_left} left · ends in ${span(ends)}`;
};

// cards keeps the phases of the first page up to date.
export function cards(items) {
  let sales = new Map();
  let offset = 0;
  async function refresh() {
    const data = await call("GET", "/api/sales").catch(() => null);
    if (!data) return;
    sales = new Map(data.sales.map((s) => [s.id, s]));
    if (data.sales[0]) offset = new Date(data.sales[0].server_time) - Date.now();
  }
  function draw() {
    for (const item of items) {
      const sale = sales.get(item.dataset.sale);
      if (sale) item.querySelector("[data-phase]").textContent = words(sale, Date.now() + offset);
    }
  }
  refresh().then(draw);
  setInterval(draw, 1000);
  setInterval(() => { if (!document.hidden) refresh(); }, 5000);
}

export async function orders(list, say) {
  try {
    const data = await call("GET", "/api/orders");
    list.replaceChildren(...data.orders.map((o) => {
      const item = document.createElement("li");
      const a = document.createElement("a");
      a.href = `/orders/${encodeURIComponent(o.order)}`;
      a.textContent = `Sale ${o.sale}: ${o.units} × ${money(o.price)}`;
      const status = document.createElement("span");
      status.className = `badge ${o.status}`;
      status.textContent = statusWords[o.status] ?? o.status;
      const when = document.createElement("time");
      when.dateTime = o.created_at;
      when.textContent = moment(o.created_at);
      item.append(a, " ", status, " ", when);
      return item;
    }));
    if (!data.orders.length) say("You have not bought anything yet.");
  } catch (e) {
    if (e.code === "unauthenticated") location.assign("/login?next=/orders");
    else say(e.message);
  } finally {
    list.removeAttribute("aria-busy");
  }
}

export async function admin(section, user, say) {
  if (user?.role !== "administrator") {
    say(user ? "Only administrators may see this." : "Log in as an administrator to see this.");
    return;
  }
  section.hidden = false;
  const body = section.querySelector("tbody");
  async function change(id, what) {
    try {
      await call("PATCH", `/api/admin/sales/${encodeURIComponent(id)}`, what);
      say("");
    } catch (e) {
      say(e.message);
    }
    await draw();
  }
  async function draw() {
    const { sales } = await call("GET", "/api/sales");
    body.replaceChildren(...sales.map((s) => {
      const row = document.createElement("tr");
      for (const text of [s.id, s.goods.title, s.phase, s.stock_left, moment(s.ends_at)]) row.insertCell().textContent = text;
      const cell = row.insertCell();
      const act = (text, what) => {
        const b = document.createElement("button");
        b.className = "quiet";
        b.textContent = text;
        b.addEventListener("click", () => change(s.id, what));
        cell.append(b, " ");
      };
      act("+10 units", { restock: 10 });
      if (s.phase === "open") act("Close", { close: true });
      else act("Open now", { open: true });
      return row;
    }));
  }
  const form = section.querySelector("form");
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    const f = Object.fromEntries(new FormData(form));
    try {
      await call("POST", "/api/admin/sales", {
        id: f.id, goods: f.goods, flash_price: Number(f.flash_price), stock: Number(f.stock),
        starts_at: new Date(f.starts_at).toISOString(), ends_at: new Date(f.ends_at).toISOString(),
      });
      say(`Sale ${f.id} is created.`);
    } catch (e) {
      say(e.field ? `${e.field}: ${e.message}` : e.message);
    }
    await draw();
  });
  await draw();
}
