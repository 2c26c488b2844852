"""HTML pages that open offline: the head, style and script that all of them share."""
