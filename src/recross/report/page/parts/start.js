function start() {
  const data = JSON.parse(byId("data").textContent);
  byId("summary").textContent = data.summary.filter(Boolean).join(" · ");
  byId("finding").textContent = unbroken(data.finding);
  if (data.curves === null) { // nothing was to be trained
    byId("curves").remove();
    document.querySelector('nav a[href="#curves"]').remove();
  }
  showResults(byId("results-body"), data.table);
  if (data.points) showQuality(byId("quality-body"), data.points);
  else showIntervals(byId("quality-body"), data.intervals); // nothing was timed
  if (data.curves) showCurves(byId("curves-body"), data.curves);
  showExplorer(byId("queries-body"), data.exploration);
  showEnvironment(byId("environment-body"), data.environment, data.commands);
}

start();
