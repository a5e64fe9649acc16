// Keeps a person signed in: the access token lives in memory, the refresh token in a cookie that scripts cannot read.

import { useEffect, useState } from "react";

export interface Session {
  userName: string;
  accessToken: string;
  /** Milliseconds since the epoch. */
  expiresAt: number;
}

/** Refresh this long before the token runs out, so that no click ever meets an expired one. */
const REFRESH_MARGIN_MS = 60_000;

let pending: Promise<Session | null> | null = null;

/** Asks for a new access token. Several callers at once share one request. */
export function refreshSession(): Promise<Session | null> {
  pending ??= fetch("/auth/refresh", { method: "POST", credentials: "include" })
    .then(async (response) => (response.ok ? ((await response.json()) as Session) : null))
    .finally(() => {
      pending = null;
    });
  return pending;
}

/** The current session: undefined while unknown, null when signed out. */
export function useSession(): Session | null | undefined {
  const [session, setSession] = useState<Session | null | undefined>(undefined);

  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let cancelled = false;

    const load = async () => {
      const fresh = await refreshSession();
      if (cancelled) return;
      setSession(fresh);
      if (fresh) {
        const wait = Math.max(fresh.expiresAt - Date.now() - REFRESH_MARGIN_MS, 1_000);
        timer = setTimeout(load, wait);
      }
    };
    void load();
    return () => {
      cancelled = true;
      clearTimeout(timer);
    };
  }, []);

  return session;
}

/** Signs out here and in all other tabs. */
export async function signOut(): Promise<void> {
  await fetch("/auth/logout", { method: "POST", credentials: "include" });
  new BroadcastChannel("session").postMessage("signed-out");
}
