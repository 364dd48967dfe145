// Log in, register, log out.

import { call, me } from "./api.js";

// next is where the visitor came from: a path of this site, nothing else.
export function next() {
  const to = new URLSearchParams(location.search).get("next") ?? "/";
  try {
    const url = new URL(to, location.origin);
    return url.origin === location.origin && /^\/(?![/\\])/.test(to) ? url.pathname + url.search : "/";
  } catch {
    return "/";
  }
}

export function account(form, path) {
  const message = document.getElementById("message");
  for (const link of form.querySelectorAll("[data-keep-next]")) link.search = location.search;
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    const submit = form.querySelector("[type=submit]");
    submit.disabled = true;
    message.textContent = "";
    try {
      await call("POST", path, Object.fromEntries(new FormData(form)));
      location.assign(next());
    } catch (e) {
      message.textContent = e.field ? `${e.field}: ${e.message}` : e.code === "login_failed" ? "Wrong mobile number or password." : e.message;
      form.elements[e.field]?.focus();
      submit.disabled = false;
    }
  });
}

// bar shows who is logged in.
export async function bar(nav) {
  const user = await me().catch(() => null);
  if (!user) return;
  nav.querySelector("[data-anonymous]")?.remove();
  if (user.role === "administrator") nav.append(link("/admin", "Administration"), " ");
  const out = document.createElement("button");
  out.className = "quiet";
  out.textContent = `Log out ${user.name}`;
  out.addEventListener("click", async () => {
    await call("POST", "/api/logout").catch(() => {});
    location.assign("/");
  });
  nav.append(out);
}

function link(href, text) {
  const a = document.createElement("a");
  a.href = href;
  a.textContent = text;
  return a;
}
