"use strict";

// A new limit's page shows the inputs that its subject and its metric need. The server empties the others.
(() => {
  const SHOWN = {
    key: ({ subject }) => subject === "key",
    group: ({ subject }) => subject === "group",
    provider: ({ subject }) => subject === "provider",
    value: ({ subject }) => ["email", "model", "tag"].includes(subject),
    window: ({ metric }) => metric !== "parallel",
    is_sliding: ({ metric, span }) => metric !== "parallel" && span !== "total",
    most_cost: ({ metric }) => metric === "cost",
    most_count: ({ metric }) => metric !== "cost",
  };

  document.addEventListener("DOMContentLoaded", () => {
    const [subject, metric, span] = ["subject", "metric", "window"].map((name) => document.querySelector(`select#id_${name}`));
    if (!subject || !metric || !span) return;

    function fit() {
      const chosen = { subject: subject.value, metric: metric.value, span: span.value };
      for (const [name, isShown] of Object.entries(SHOWN)) {
        const row = document.querySelector(`.field-line.field-${name}`)?.closest(".field-row");
        if (row) row.hidden = !isShown(chosen);
      }
    }

    for (const select of [subject, metric, span]) select.addEventListener("change", fit);
    fit();
  });
})();
