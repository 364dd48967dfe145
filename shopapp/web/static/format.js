// Money comes in minor units, times in RFC 3339; here they become words.

const cents = new Intl.NumberFormat(undefined, { style: "currency", currency: "USD" });

export const money = (minor) => cents.format(minor / 100);

export function span(ms) {
  const s = Math.max(0, Math.ceil(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  const h = Math.floor(s / 3600);
  const rest = `${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
  return h ? `${h}:${rest}` : rest;
}

export const moment = (iso) => new Date(iso).toLocaleString();

export const statusWords = {
  undecided: "Your order is in the queue…",
  pending: "You have it! Pay to keep it.",
  paid: "Paid. It is yours.",
  cancelled: "Cancelled.",
  rejected: "Sorry, this order could not be placed.",
  dead_lettered: "Somebody is looking into this order.",
};

export const reasonWords = {
  cancelled_by_user: "You cancelled it.",
  expired: "It was not paid in time.",
  sold_out: "Everything was sold.",
  already_bought: "You have bought this before.",
  dropped: "The shop has dropped it.",
};
