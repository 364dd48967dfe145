// Calls of the shop's API. Every error becomes a Problem with the stable code.

export class Problem extends Error {
  constructor(status, body, retryAfter) {
    super(body.detail || body.title || "Something went wrong.");
    this.status = status;
    this.code = body.code || (status >= 500 ? "unavailable" : "internal");
    this.field = body.field;
    this.order = body.order;
    this.retryAfter = retryAfter; // seconds; NaN when not stated
  }
}

export async function call(method, path, body) {
  const init = { method, headers: {}, credentials: "same-origin" };
  if (body !== undefined) {
    init.headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  let res;
  try {
    res = await fetch(path, init);
  } catch (cause) {
    const p = new Problem(0, { code: "network", detail: "The shop cannot be reached." });
    p.cause = cause;
    throw p;
  }
  const text = await res.text();
  let data = {};
  try {
    data = text ? JSON.parse(text) : {};
  } catch {
    // Not ours: a proxy's own page. The status says enough.
  }
  if (!res.ok) throw new Problem(res.status, data, Number.parseInt(res.headers.get("Retry-After"), 10));
  return data;
}

export const wait = (ms) => new Promise((done) => setTimeout(done, ms));

// me is who is logged in, or null.
let known;
export function me() {
  known ??= call("GET", "/api/me").catch((e) => {
    if (e.code === "unauthenticated") return null;
    known = undefined;
    throw e;
  });
  return known;
}
