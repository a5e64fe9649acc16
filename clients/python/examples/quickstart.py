"""Stores two memories, searches, and gathers a context. Start a server first:

hivemem serve &
python examples/quickstart.py http://127.0.0.1:7411
"""

import sys

import hivemem


def main(address: str) -> None:
    with hivemem.Client(address) as client:
        for text in ("The staging database is rebuilt every Monday.", "Deploys need two approvals on Fridays."):
            print("remembered", client.remember(text, tags=["ops"]).uri)

        for hit in client.search("when is staging reset", k=3).hits:
            print(f"{hit.score:.3f}  {hit.citation}  {hit.text}")

        pack = client.gather_context("plan a deploy for Friday", budget_tokens=500)
        print(f"{pack.tokens} of {pack.budget_tokens} tokens\n{pack.text}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7411")
