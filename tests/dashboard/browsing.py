"""A browser that knows nothing of us: it keeps cookies, looks at pages and sends their forms."""

import re
from typing import Any

import httpx

KEY = "a-key-of-the-tests"
_TOKEN = re.compile(r'name="token" value="([0-9a-f]{64})"')


class Browser:
    """Looks at pages and sends their forms.

    Args:
        client: With the base URL; it keeps cookies and does not follow redirects.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.token = ""

    async def look(self, path: str, status: int = 200, **params: Any) -> str:
        """A page; its token is kept."""
        response = await self.client.get(path, params=params or None)
        assert response.status_code == status, f"{path}: {response.status_code}\n{response.text[:2000]}"
        found = _TOKEN.search(response.text)
        self.token = found[1] if found else self.token
        return response.text

    async def send(self, path: str, data: dict[str, Any] | None = None, **options: Any) -> httpx.Response:
        """Send a form with the token of the page before."""
        return await self.client.post(path, data={"token": self.token, **(data or {})}, **options)

    async def sign_in(self, key: str = KEY) -> httpx.Response:
        await self.look("/ui/sign-in")
        return await self.send("/ui/sign-in", {"key": key})
