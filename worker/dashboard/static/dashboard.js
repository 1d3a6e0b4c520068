// What the pages do beyond htmx: bars of the timeline, ages, the list's refresh, files to be dropped. No page needs it.
(() => {
  "use strict";
  const REFRESH = 2000; // ms between looks for a changed list; only while somebody looks at the page

  // --- the timeline's bars: where each row began and ended, on one scale
  const placeBars = () => {
    const timeline = document.getElementById("timeline");
    if (!timeline) return;
    const now = Date.now() - Number(timeline.dataset.created);
    const bars = [...timeline.querySelectorAll(".bar")];
    const ends = bars.map((bar) => ("running" in bar.dataset ? now : Number(bar.dataset.until)));
    const starts = bars.map((bar) => Number(bar.dataset.at));
    const first = Math.min(...starts);
    const whole = Math.max(1, Math.max(...ends) - first);
    bars.forEach((bar, place) => {
      const left = ((starts[place] - first) / whole) * 100;
      const drawn = bar.firstElementChild; // not the bar itself: htmx carries attributes of elements with an id over
      drawn.style.left = `${Math.min(left, 99)}%`;
      drawn.style.width = `${Math.max(((ends[place] - starts[place]) / whole) * 100, 1)}%`;
    });
    return bars.some((bar) => "running" in bar.dataset);
  };
  let drawn = 0;
  const draw = () => {
    if (drawn) return;
    drawn = requestAnimationFrame(() => {
      drawn = 0;
      placeBars();
    });
  };
  setInterval(() => document.querySelector("#timeline .bar[data-running]") && draw(), 250);

  // --- the stream: nothing twice, and whether it is open
  let seen = 0;
  const say = (state, text) => {
    const sign = document.getElementById("connection");
    if (!sign) return;
    sign.dataset.state = state;
    sign.lastElementChild.textContent = text;
  };
  document.addEventListener("htmx:sseOpen", () => say("live", "live"));
  document.addEventListener("htmx:sseError", () => say("waiting", "reconnecting"));
  document.addEventListener("htmx:sseClose", (event) => event.detail.type === "message" && say("done", "complete"));
  document.addEventListener("htmx:sseBeforeMessage", (event) => {
    const number = Number(event.detail.lastEventId);
    if (!number) return;
    if (number <= seen) event.preventDefault();
    seen = Math.max(seen, number);
    const source = event.target;
    const address = new URL(source.getAttribute("sse-connect"), location.href);
    address.searchParams.set("after", seen); // where htmx itself connects anew
    source.setAttribute("sse-connect", address.pathname + address.search);
  });
  document.addEventListener("htmx:sseMessage", () => {
    draw();
    ages();
  });

  // --- ages: "3 min ago" goes on
  const said = (seconds) => {
    for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
      if (seconds >= length) return `${Math.floor(seconds / length)} ${unit} ago`;
    }
    return `${Math.max(0, Math.round(seconds))} s ago`;
  };
  const ages = () => {
    for (const time of document.querySelectorAll("time[data-ago]")) {
      time.textContent = said((Date.now() - Date.parse(time.dateTime)) / 1000);
    }
  };
  setInterval(ages, 5000);

  // --- live lists
  setInterval(() => {
    const live = document.querySelector("[data-live]");
    if (live && !document.hidden && !live.contains(document.activeElement?.closest("form"))) {
      htmx.trigger(live, "refresh");
    }
  }, REFRESH);

  // --- what went wrong behind the page
  const toast = (text) => {
    const place = document.getElementById("toast");
    place.textContent = text;
    place.hidden = !text;
  };
  document.addEventListener("htmx:sendError", () => toast("The server cannot be reached. Trying again …"));
  document.addEventListener("htmx:responseError", (event) => toast(`The server answered ${event.detail.xhr.status}. Trying again …`));
  document.addEventListener("htmx:afterOnLoad", () => toast(""));
  document.addEventListener("htmx:afterSwap", draw);

  // --- boxes: all of a page at once
  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-all]")) return;
    for (const box of event.target.form.querySelectorAll("input[type=checkbox]")) box.checked = event.target.checked;
  });

  // --- a form is sent once
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if ("sent" in form.dataset) event.preventDefault();
    form.dataset.sent = "";
    addEventListener("pageshow", () => delete form.dataset.sent, { once: true });
  });

  // --- files: dropped, or pasted, or chosen
  const showChosen = (zone) => {
    const list = zone.querySelector("[data-chosen]");
    list.replaceChildren(
      ...[...zone.querySelector("input[type=file]").files].map((file) => {
        const line = document.createElement("li");
        line.textContent = `${file.name} · ${file.size < 1024 * 1024 ? `${Math.ceil(file.size / 1024)} KB` : `${(file.size / 1024 / 1024).toFixed(1)} MB`}`;
        return line;
      }),
    );
  };
  const addFiles = (zone, files) => {
    const input = zone.querySelector("input[type=file]");
    const all = new DataTransfer();
    for (const file of [...input.files, ...files]) all.items.add(file);
    input.files = all.files;
    showChosen(zone);
  };
  for (const zone of document.querySelectorAll("[data-drop]")) {
    zone.addEventListener("dragover", (event) => {
      event.preventDefault();
      zone.classList.add("over");
    });
    zone.addEventListener("dragleave", () => zone.classList.remove("over"));
    zone.addEventListener("drop", (event) => {
      event.preventDefault();
      zone.classList.remove("over");
      addFiles(zone, event.dataTransfer.files);
    });
    zone.addEventListener("change", () => showChosen(zone));
    zone.closest("form").addEventListener("paste", (event) => {
      if (event.clipboardData?.files.length) addFiles(zone, event.clipboardData.files);
    });
  }

  draw();
  ages();
})();
