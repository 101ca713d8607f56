// The gateway's REST routes. Numbers of rules keep their digits both ways.
import { parse, print, type Json } from "./rule/json";

export interface Problem { path: string; problem: string; hint: string | null }
export interface Session { role: string; csrf: string; expires_at: string; may: { read: boolean; ingest: boolean; edit: boolean; operate: boolean } }
export interface Condition { path: string; condition: string; customers: number | null; events: number | null; leaves: number | null; took_ms: number | null; how: string | null }
export interface Customer { customer_id: string; profile: Record<string, Json> | null; created_at?: string | null; updated_at?: string | null }
export interface CustomerPage extends Customer { events: Event[]; next: string | null }
/** A cohort that a customer entered or left at a refresh. */
export interface Moved { cohort: string; change: "entered" | "exited"; changed_at: string }
export interface Event { event_id: number; customer_id: string; event_type: string; occurred_at: string; data: Json }
export interface Preview {
  valid: boolean; problems: Problem[]; size: number | null; universe: number | null; sample: Customer[]; conditions: Condition[];
  words: string | null; rule: Json; sql: string | null; took_ms: number; reach: Reach[] | null;
}
/** How many can be told of at a destination; by one of these properties, or by the customer's id. */
export interface Reach { destination: string; kind: string; customers: number; properties: string[] | null }
export interface SyncBrief { destination: string; state: string; why: string | null; next_run: string | null }
export interface Cohort {
  name: string; kind: "rule" | "list" | "query"; description: string | null; rule: Json; version: number; owner: string; editable: boolean; created_at: string; updated_at: string;
  size: number | null; size_now: number | null; refreshed_at: string | null; entered: number | null; exited: number | null;
  history: { at: string; size: number }[]; used_by: string[]; syncs: SyncBrief[];
}
export interface Refresh { refreshed_at: string; size: number; entered: number; exited: number; took_ms: number; version: number }
export interface Version { version: number; rule: Json; list_size: number | null; changed_by: string; changed_at: string }
export interface Why { holds: boolean; items: { path: string; condition: string; holds: boolean; evidence: Json }[] }
export interface EventType { event_type: string; description: string | null; customers: number | null; events: number | null; days: { day: string; events: number }[] }
export interface Property { event_type: string | null; property: Json; types: string[]; events: number | null; distinct_values: number | null; examples: Json[] }
export interface Destination { name: string; kind: string; config: Record<string, Json>; secret: string | null; owner: string; editable: boolean; [column: string]: Json }
export interface Sync { cohort: string; destination: string; state: string; editable: boolean; [column: string]: Json }
export interface SyncPreview { adds: number; removes: number; unchanged: number; skipped: Record<string, number>; held: boolean | string | null }
export interface List<T> { items: T[]; next?: string | null }

/** An answer of 400 and above, or none at all (status 0). */
export class Refusal extends Error {
  constructor(
    readonly status: number, message: string, readonly hint: string | null = null, readonly detail: string | null = null,
    readonly problems: Problem[] = [], readonly sqlstate: string | null = null, readonly retryAfter: number | null = null,
  ) {
    super(message);
  }
  /** Whether the same request may succeed later. */
  get passing(): boolean {
    return this.status === 0 || this.status === 503 || this.status === 504 || this.status === 429;
  }
}

export interface Answer<T> { data: T; etag: string | null }
interface Options { body?: unknown; etag?: string | null; signal?: AbortSignal; headers?: Record<string, string> }

let csrf = "";
let onSignedOut: () => void = () => undefined;

export function holdSession(session: Session | null): void {
  csrf = session?.csrf ?? "";
}

export function whenSignedOut(call: () => void): void {
  onSignedOut = call;
}

export async function ask<T>(method: string, path: string, options: Options = {}): Promise<Answer<T>> {
  const headers: Record<string, string> = { Accept: "application/json", ...options.headers };
  if (method !== "GET") headers["X-CSRF-Token"] = csrf;
  if (options.body !== undefined) headers["Content-Type"] = "application/json";
  if (options.etag) headers["If-Match"] = options.etag;
  let response: Response;
  try {
    response = await fetch(path, { method, headers, body: options.body === undefined ? undefined : print(options.body as Json), signal: options.signal, credentials: "same-origin" });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Refusal(0, "The server does not respond.");
  }
  const text = await response.text();
  if (!response.ok) throw refusal(response, text, path);
  return { data: (text ? parse(text) : null) as T, etag: response.headers.get("ETag") };
}

function refusal(response: Response, text: string, path: string): Refusal {
  const retry = Number(response.headers.get("Retry-After")) || null;
  if (response.status === 401 && path !== "/v1/session") onSignedOut();
  try {
    const body = JSON.parse(text) as { message: string; hint: string | null; detail: string | null; problems?: Problem[]; sqlstate: string | null };
    return new Refusal(response.status, body.message, body.hint, body.detail, body.problems ?? [], body.sqlstate, retry);
  } catch {
    return new Refusal(response.status, `The server responded with ${response.status} ${response.statusText}.`, null, null, [], null, retry);
  }
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await ask<T>("GET", path, { signal })).data;
}

export async function post<T>(path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  return (await ask<T>("POST", path, { body, signal })).data;
}

export const part = encodeURIComponent;
export const cohortPath = (name: string, below = "") => `/v1/cohorts/${part(name)}${below}`;
export const syncPath = (cohort: string, destination: string, below = "") => `/v1/syncs/${part(cohort)}/${part(destination)}${below}`;
