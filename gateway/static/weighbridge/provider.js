"use strict";

// A provider's page: what its kind needs is drawn by the server, so a change of kind fetches that part of the page
// anew. What has been typed stays, as far as the new part has an input of the same name.
(() => {
  const PARTS = [".console-vendor", ".console-key-hint"];

  document.addEventListener("DOMContentLoaded", () => {
    if (!document.querySelector("select#id_requester")) return;
    const select = django.jQuery("#id_requester");
    // Also by the words that the row is searched by, which the option's text does not show.
    if (select.hasClass("select2-hidden-accessible")) select.select2("destroy");
    select.select2({ matcher, width: "100%" });
    select.on("change", () => refit(select.val()));
  });

  function matcher(params, data) {
    const term = (params.term || "").trim().toLowerCase();
    if (!term) return data;
    if (data.children) {
      const children = data.children.filter((child) => matcher(params, child));
      return children.length ? { ...data, children } : null;
    }
    const words = `${data.text} ${data.element?.dataset.search || ""}`.toLowerCase();
    return term.split(/\s+/).every((word) => words.includes(word)) ? data : null;
  }

  async function refit(requester) {
    const url = `${location.pathname}?${new URLSearchParams({ requester })}`;
    const response = await fetch(url, { credentials: "same-origin" });
    if (!response.ok) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    if (document.getElementById("id_requester").value !== requester) return; // changed again meanwhile
    for (const part of PARTS) {
      const now = document.querySelector(part);
      const then = fresh.querySelector(part);
      if (now && then) exchange(now, document.importNode(then, true));
    }
  }

  function exchange(now, then) {
    for (const input of now.querySelectorAll("input[name], textarea[name]")) {
      const same = then.querySelector(`[name="${CSS.escape(input.name)}"]`);
      if (!same) continue;
      if (input.type === "checkbox") same.checked = input.checked;
      else if (input.value) same.value = input.value;
    }
    now.replaceWith(then);
  }
})();
