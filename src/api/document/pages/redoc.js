// Starts Redoc with the published document.
"use strict";

(() => {
  /** What a reference leads to. */
  const follow = (root, node) =>
    node && node.$ref
      ? node.$ref
          .slice(2)
          .split("/")
          .reduce((found, key) => found[key.replaceAll("~1", "/").replaceAll("~0", "~")], root)
      : node;

  /** Adds the names of all members of a schema to a set. */
  const addMembers = (root, node, names, seen) => {
    const schema = follow(root, node);
    if (!schema || seen.has(schema)) return;
    seen.add(schema);
    for (const [name, member] of Object.entries(schema.properties || {})) {
      names.add(name);
      addMembers(root, member, names, seen);
    }
    for (const part of [schema.items, ...(schema.allOf || []), ...(schema.oneOf || []), ...(schema.anyOf || [])]) {
      addMembers(root, part, names, seen);
    }
  };

  /** Parameters and members of the body, by name. */
  const namesOf = (root, operation) => {
    const names = new Set((operation.parameters || []).map((parameter) => follow(root, parameter).name));
    for (const content of Object.values(operation.requestBody?.content || {})) {
      addMembers(root, content.schema, names, new Set());
    }
    return names;
  };

  // Redoc's search reads only titles and descriptions, so descriptions get these names, invisibly.
  const makeSearchable = (root) => {
    for (const operation of Object.values(root.paths).flatMap((item) => Object.values(item))) {
      const names = [...namesOf(root, operation)].filter((name) => /^[\w.-]+$/.test(name));
      if (names.length > 0) operation.description += `\n\n<div hidden>\n${names.join(" ")}\n</div>\n`;
    }
  };

  const start = async () => {
    const root = await (await fetch("/openapi.json")).json();
    makeSearchable(root);
    const fonts = { fontFamily: "sans-serif" };
    Redoc.init(
      root,
      {
        scrollYOffset: "nav.site",
        downloadDefinitionUrl: "/openapi.json",
        theme: { typography: { ...fonts, headings: fonts } },
      },
      document.getElementById("reference"),
    );
  };

  start();
})();
