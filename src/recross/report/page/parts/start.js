function start() {
  const data = JSON.parse(byId("data").textContent);
  byId("summary").textContent = data.summary.filter(Boolean).join(" · ");
  byId("finding").textContent = data.finding;
  for (const [id, shown] of [["quality", data.points], ["curves", data.curves]]) {
    if (shown !== null) continue; // nothing was timed, or trained
    byId(id).remove();
    document.querySelector(`nav a[href="#${id}"]`).remove();
  }
  showResults(byId("results-body"), data.table);
  if (data.points) showQuality(byId("quality-body"), data.points);
  if (data.curves) showCurves(byId("curves-body"), data.curves);
  showExplorer(byId("queries-body"), data.exploration);
  showEnvironment(byId("environment-body"), data.environment, data.commands);
}

start();
