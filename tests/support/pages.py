"""Pages as a browser reads them, and what holds of every page."""

import base64
import hashlib
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """A page as a browser reads it; unbalanced tags are refused."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.style = ""
        self.script = ""
        self.title = ""
        self.source = text
        self._tables: list[dict] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), (tag, names)
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self._tables.append({"caption": "", "rows": []})
        elif tag == "tr":
            self._tables[-1]["rows"].append([])
        elif tag in ("td", "th"):
            self._tables[-1]["rows"][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            self.style += data
        elif "script" in self.open:
            self.script += data
        elif "title" in self.open:
            self.title += data
        else:
            self.words.append(data)
            if "caption" in self.open:
                self._tables[-1]["caption"] += data
            elif {"td", "th"} & set(self.open):
                self._tables[-1]["rows"][-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def table(self, caption: str) -> list[list[str]]:
        """The rows of the table whose caption begins so, as text, the headings first."""
        found = [table["rows"] for table in self._tables if " ".join(table["caption"].split()).startswith(caption)]
        assert len(found) == 1, (caption, [table["caption"] for table in self._tables])
        return [[" ".join(cell.split()) for cell in row] for row in found[0]]

    def part(self, identity: str) -> str:
        """What follows the element of an id, up to the next element with one, as markup."""
        return self.source.partition(f'id="{identity}"')[2].partition(' id="')[0]

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def assert_offline(page: Page) -> None:
    """Nothing is loaded, and no script runs but the page's own, which its policy names by its hash."""
    addresses = [value for _, attributes in page.tags for key, value in attributes.items() if key in ("src", "href")]
    assert len(addresses) > 4
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "url(" not in page.style and "@import" not in page.style
    assert not page.all("iframe") + page.all("object") + page.all("form")
    assert page.all("script") == [{}]
    assert not [key for _, attributes in page.tags for key in attributes if key.startswith("on")]
    assert "http" not in page.text
    digest = base64.b64encode(hashlib.sha256(page.script.encode()).digest()).decode()
    policy = next(meta for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"] == (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )


def assert_accessible(page: Page) -> None:
    """Headings, captions, alternative texts, and links that lead somewhere."""
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == len(page.all("title")) == len(page.all("main")) == len(page.all("header")) == 1
    assert all(image["alt"] for image in page.all("img"))
    assert {cell["scope"] for cell in page.all("th")} == {"row", "col"}
    assert len(page.all("caption")) == len(page.all("table"))
    identities = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identities) == len(set(identities))
    targets = {link["href"].removeprefix("#") for link in page.all("a")}
    assert {section["id"] for section in page.all("section")} <= targets <= set(identities)
    assert {section["aria-labelledby"] for section in page.all("section")} <= set(identities)
    assert any(meta.get("content", "").startswith("width=device-width") for meta in page.all("meta"))
    assert "prefers-color-scheme: dark" in page.style
    assert all("tabindex" in box for box in page.all("div") if "scroll" in (box.get("class") or "").split())
