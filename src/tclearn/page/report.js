// A link to a certificate opens it, also when it was followed before and the certificate closed again.
const open = () => {
  const place = document.getElementById(location.hash.slice(1));
  for (let outer = place; outer; outer = outer.parentElement) if (outer.tagName === "DETAILS") outer.open = true;
  if (place) place.scrollIntoView();
};
addEventListener("hashchange", open);
addEventListener("DOMContentLoaded", open);
addEventListener("click", (event) => event.target.closest("a[href^='#']") && setTimeout(open));
