import { post, type Preview } from "./api";

/** How many customers there are. */
export async function universe(signal?: AbortSignal): Promise<number | null> {
  return (await post<Preview>("/v1/preview", { rule: { did: "*", count: { gte: 0 } }, sample: 0 }, signal)).universe;
}
