// The dashboard's calls to the gateway: JSON in and out, one idempotency key per action, errors with their reason.

import { refreshSession } from "./useSession";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly reason: string,
  ) {
    super(`${status}: ${reason}`);
  }
}

const ATTEMPTS = 3;

/** Sends a request. A write that is repeated carries the same key, so the server does it once. */
export async function callApi<T>(method: string, path: string, body?: unknown, token?: string): Promise<T> {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (method !== "GET") headers["idempotency-key"] = crypto.randomUUID();
  if (token) headers.authorization = `Bearer ${token}`;

  for (let attempt = 1; ; attempt++) {
    const response = await fetch(`/api${path}`, { method, headers, body: JSON.stringify(body) });
    if (response.ok) return (await response.json()) as T;
    if (response.status === 401 && attempt === 1) {
      const session = await refreshSession();
      if (session) {
        headers.authorization = `Bearer ${session.accessToken}`;
        continue;
      }
    }
    if (response.status >= 500 && attempt < ATTEMPTS) {
      await new Promise((resolve) => setTimeout(resolve, 250 * 2 ** attempt));
      continue;
    }
    throw new ApiError(response.status, await response.text());
  }
}

export interface Shipment {
  id: string;
  receiver: string;
  state: "ordered" | "collected" | "in-transit" | "delivered" | "returned";
}

export const listShipments = (token: string) => callApi<Shipment[]>("GET", "/shipments", undefined, token);

export const cancelShipment = (id: string, token: string) =>
  callApi<Shipment>("POST", `/shipments/${encodeURIComponent(id)}/cancel`, {}, token);
