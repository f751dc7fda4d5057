function start() {
  const data = JSON.parse(byId("data").textContent);
  byId("summary").textContent = data.summary.filter(Boolean).join(" · ");
  showResults(byId("results-body"), data.table);
  showQuality(byId("quality-body"), data.points);
  showCurves(byId("curves-body"), data.curves);
  showExplorer(byId("queries-body"), data.exploration);
  showEnvironment(byId("environment-body"), data.environment, data.commands);
}

start();
