"""The same work at a page in the browser. Nobody but the person at this computer gets in."""
