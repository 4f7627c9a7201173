// Fetches the page again every few seconds and puts its live parts in place of those that are shown. Parts that somebody
// is at work in stay as they are: what has the focus, or of which something is selected.
(() => {
  const seconds = Number(document.body.dataset.again);
  const busy = (part) =>
    part.contains(document.activeElement) ||
    (getSelection().type === "Range" && part.contains(getSelection().anchorNode));
  const look = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
        if (answer.redirected) return location.reload();
        if (answer.ok) {
          const page = new DOMParser().parseFromString(await answer.text(), "text/html");
          for (const part of document.querySelectorAll("[data-live]")) {
            const fresh = page.getElementById(part.id);
            if (fresh && !busy(part) && fresh.innerHTML !== part.innerHTML) part.replaceWith(document.adoptNode(fresh));
          }
        }
      } catch {
        // The server is away for a moment: what is shown says as of when it is.
      }
    }
    setTimeout(look, seconds * 1000);
  };
  setTimeout(look, seconds * 1000);
})();
