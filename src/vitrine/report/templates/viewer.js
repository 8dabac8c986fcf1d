// Turns the still pictures of atoms into scenes that can be turned, where the browser has WebGL.
(() => {
  const hasWebGL = () => {
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("webgl2") || canvas.getContext("webgl");
    context?.getExtension("WEBGL_lose_context")?.loseContext();
    return Boolean(context);
  };

  const point = ([x, y, z]) => ({ x, y, z });

  // A wheel over a picture scrolls the page; zooming asks for Ctrl (which a pinch sends too).
  const keepScrolling = (element) =>
    element.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey && !event.metaKey) event.stopImmediatePropagation();
      },
      { capture: true },
    );

  function draw(element, id, data, scene, output) {
    keepScrolling(element);
    const viewer = $3Dmol.createViewer(element, {
      id,
      backgroundColor: "white",
      orthographic: true,
      disableFog: true,
      hoverDuration: 60,
      minimumZoomToDistance: 0.01,
    });
    const model = viewer.addModel();
    model.addAtoms(
      data.positions.map((place, i) => ({
        ...point(place),
        elem: data.symbols[data.species[i]],
        style: { sphere: { radius: scene.radii[i], color: scene.colours[i] } },
      })),
    );
    // Two unseen atoms span the sphere around everything. In parallel projection the viewer takes
    // twice its field of view, tan(20°) / tan(10°) = 2.06; the rest brings corners to the rim.
    const { centre, radius } = data.frame;
    const frame = viewer.addModel();
    frame.addAtoms([-radius, radius].map((x) => ({ ...point(centre), x: centre[0] + x, style: {} })));
    viewer.zoomTo({ model: frame });
    viewer.zoom(2.2);
    viewer.setSlab(-4 * radius, 4 * radius);
    for (const [start, end] of data.edges) {
      viewer.addCylinder({
        start: point(start),
        end: point(end),
        radius: data.edge_radius,
        color: data.edge_colour,
      });
    }
    const tell = (atom) => {
      const value = scene.values[atom.index];
      const said = value === null ? "no value" : `${value} ${scene.unit}`;
      output.textContent = `${data.symbols[data.species[atom.index]]}, atom ${atom.index}: ${said}`;
    };
    viewer.setHoverable({ model }, true, tell, () => {});
    viewer.setView([...viewer.getView().slice(0, 4), ...data.quaternion]);
    viewer.render();
    return viewer;
  }

  function start(scenes) {
    const elements = [...scenes.querySelectorAll(".viewer")];
    const output = scenes.querySelector("output");
    const figure = scenes.closest("figure");
    figure.classList.add("live"); // first: a viewer needs the size of its element
    try {
      const data = JSON.parse(document.getElementById(scenes.dataset.atoms).textContent);
      const viewers = elements.map((element, i) => draw(element, `${scenes.dataset.atoms}-${i}`, data, data.scenes[i], output));
      for (const one of viewers) {
        for (const other of viewers) if (other !== one) one.linkViewer(other);
      }
      for (const element of elements) element.dataset.ready = "true";
    } catch (error) {
      figure.classList.remove("live");
      scenes.dataset.error = String(error);
    }
  }

  if (hasWebGL()) document.querySelectorAll(".scenes").forEach(start);
})();
