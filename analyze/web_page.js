// What `textual.js` leaves to do: give the screen the keys, and the browser's own keys to the browser.
"use strict";

const keyboard = () => document.querySelector(".xterm-helper-textarea");

// At once, and after a click beside the screen: without the focus no key goes anywhere.
new MutationObserver((_, observer) => {
  // Before its first bytes the screen would not hear that it has the focus.
  if (document.body.classList.contains("-first-byte")) {
    observer.disconnect();
    keyboard().focus();
  }
}).observe(document.documentElement, { subtree: true, attributeFilter: ["class"] });
addEventListener("click", () => keyboard()?.focus());

// As a control character it would paste what was last copied on the screen; the browser pastes from the clipboard.
addEventListener(
  "keydown",
  (event) => {
    if (event.ctrlKey && !event.altKey && !event.metaKey && event.key === "v") event.stopImmediatePropagation();
  },
  true,
);
