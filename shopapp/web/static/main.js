// Starts what the page at hand needs.

import { me } from "./api.js";
import { account, bar } from "./accounts.js";
import { product } from "./buy.js";
import { money } from "./format.js";
import { admin, cards, orders } from "./lists.js";
import { follow, panel } from "./order.js";

const at = (name) => document.getElementById(name);
const say = (text) => { at("message").textContent = text; };

for (const e of document.querySelectorAll("[data-money]")) e.textContent = money(Number(e.dataset.money));
bar(at("account"));
if (at("login-form")) account(at("login-form"), "/api/login");
if (at("register-form")) account(at("register-form"), "/api/register");
if (at("product")) product(at("product"));
if (document.querySelector(".cards")) cards(document.querySelectorAll(".card"));
if (at("orders")) orders(at("orders"), say);
if (at("admin")) me().then((user) => admin(at("admin"), user, say)).catch((e) => say(e.message));
if (at("result") && !at("product")) {
  follow(decodeURIComponent(location.pathname.split("/").pop()), panel(say)).then(
    (order) => { if (!order) say("There is no such order."); },
    (e) => {
      if (e.code === "unauthenticated") location.assign(`/login?next=${encodeURIComponent(location.pathname)}`);
      else say(e.message);
    },
  );
}
