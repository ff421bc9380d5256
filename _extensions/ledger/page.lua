-- The page around the text, the same from both renderers: style and scripts, who wrote it, the
-- notebooks, pictures that are part of the page, callouts, and tables that scroll by themselves.

local core = claimledger_core
local draw, tables, word, aside = core.load("draw"), core.load("tables"), core.load("word"), core.load("aside")
local page = {}
local text_of = pandoc.utils.stringify

-- All files of an ending in one element: a page opened from a file asks for nothing beside it.
local function inlined(tag, ending)
  local parts = pandoc.List({ "page", "cards", "exhibits" }):map(function(name)
    return core.read(core.script("page/" .. name .. ending))
  end)
  return ("<%s>\n%s</%s>"):format(tag, table.concat(parts):gsub("\n%s+", "\n"), tag)
end

-- A line of the front matter as it was written: Quarto takes the name of a group apart into a given
-- and a family name, and a license into one that it knows.
local function written(key)
  local line = ("\n" .. (core.read(core.input) or "")):match("\n%s*" .. core.literal(key) .. ":%s*([^\n]+)")
  return line and (line:match('^"(.*)"%s*$') or line:match("^'(.*)'%s*$") or line:match("^(.-)%s*$"))
end

-- Quarto's authors in the words of our template; the embedded renderer hands them over itself.
local function people(meta)
  local places, numbers = pandoc.List(), {}
  for index, place in ipairs(meta["by-affiliation"] or {}) do
    local parts = pandoc.List()
    for _, key in ipairs({ "department", "name", "city", "region", "state", "country" }) do
      if place[key] then parts:insert(text_of(place[key])) end
    end
    numbers[text_of(place.id)] = tostring(index)
    places:insert({ name = table.concat(parts, ", ") })
  end
  meta.by = pandoc.List(meta["by-author"] or {}):map(function(person)
    local marks = pandoc.List(#places > 1 and person.affiliations or {}):map(function(place)
      return numbers[text_of(place.id)]
    end)
    local name = text_of(person.name.literal)
    local group = written("literal") == name
    return {
      name = name, url = person.url, orcid = person.orcid, marks = marks,
      family = not group and person.name.family or nil, given = not group and person.name.given or nil,
    }
  end)
  for index, place in ipairs(places) do place.mark = #places > 1 and tostring(index) or nil end
  meta.places = places
  if FORMAT == "docx" then -- its title block has a line for each author, and none for places
    meta.author = pandoc.List(meta["by-author"] or {}):map(function(person)
      local parts = pandoc.List({ text_of(person.name.literal) })
      for _, place in ipairs(person.affiliations or {}) do
        local number = tonumber(numbers[text_of(place.id)])
        if number then parts:insert(places[number].name) end
      end
      return pandoc.MetaInlines({ pandoc.Str(table.concat(parts, ", ")) })
    end)
  end
end

-- What an open edition says of itself on its first page: version, license, where it lies.
local FRONT = {
  { "version", "Version" }, { "license", "License" }, { "repo-url", "Repository" }, { "archive", "Archive" },
  { "data-availability", "Data and code" },
}

local function front(meta)
  local out = pandoc.List()
  for _, pair in ipairs(FRONT) do
    local value = meta[pair[1]]
    if type(value) == "table" and pandoc.utils.type(value) == "List" then value = value[1] end
    if type(value) == "table" and pandoc.utils.type(value) == "table" then value = value.text or value.url end
    local said = value and text_of(value) or ""
    if quarto and said ~= "" and pair[1] == "license" then value, said = written("license"), written("license") or said end
    if said ~= "" then
      local inlines = said:match("^https?://%S+$") and pandoc.Inlines({ pandoc.Link(said:gsub("^https?://", ""), said) })
        or pandoc.utils.type(value) == "Inlines" and value or pandoc.Inlines(said)
      out:insert({ name = pair[2], value = pandoc.MetaInlines(inlines) })
    end
  end
  return out
end

local MONTHS = { "January", "February", "March", "April", "May", "June", "July", "August", "September",
  "October", "November", "December" }

-- What JATS wants of the same: the date in parts, the license with its address, the repository.
local function index(meta)
  local said = meta.date and text_of(meta.date) or ""
  local year, month, day = said:match("^(%d%d%d%d)-(%d%d)-(%d%d)")
  if not year then
    local name
    name, day, year = said:match("^(%a+) (%d+), (%d%d%d%d)$")
    if name then month = select(2, pandoc.List(MONTHS):find(name)) end
  end
  if year and month then
    meta.published = { year = year, month = tostring(tonumber(month)), day = tostring(tonumber(day)),
      iso = ("%s-%02d-%02d"):format(year, tonumber(month), tonumber(day)) }
  end
  local archive = meta.archive and text_of(meta.archive) or ""
  if archive:match("^10%.%d+/%S+$") then
    meta.identifier = { kind = "doi", text = archive }
  elseif archive:match("^https?://%S+$") then
    meta.identifier = { kind = "uri", text = archive }
  end
  local repository = meta["repo-url"] and text_of(meta["repo-url"])
  if repository and repository:match("^https?://") then meta.repository = repository end
  for _, one in ipairs(meta.front or {}) do
    if one.name == "License" then
      local name = text_of(one.value)
      meta.licensed = { name = name, url = name:find("CC BY 4.0", 1, true) and "https://creativecommons.org/licenses/by/4.0/"
        or name:find("CC BY-SA 4.0", 1, true) and "https://creativecommons.org/licenses/by-sa/4.0/" or nil }
    end
  end
end

-- In a document of any other project: the entries behind its numbers at the foot of the page, so
-- that each link leads to its own; no style of ours, and one script, which opens what is linked.
local OPENS = [[<script>
(function () {
  function show() {
    var found = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (var one = found; one; one = one.parentElement) if (one.tagName === "DETAILS") one.open = true;
    if (found) found.scrollIntoView();
  }
  addEventListener("hashchange", show);
  if (location.hash.indexOf("#claim-") === 0) show();
})();
</script>]]

local function alone(doc)
  if core.article then
    doc.blocks:insert(pandoc.RawBlock("html", draw.section() .. OPENS))
  end
  return doc
end

-- The ledger behind the text. Quarto would read its half megabyte as a tree of elements once more: there
-- it is set in at the end, and waits in a file that the engine puts in the place of a comment.
function page.behind(doc)
  if not (core.own and core.html and core.article) then return nil end
  local section = draw.section()
  if quarto and core.write(core.root .. "/build/ledger-section.html", section) then
    section = "<!-- ledger-section -->"
  end
  doc.meta["ledger-section"] = pandoc.MetaBlocks({ pandoc.RawBlock("html", section) })
  return doc
end

-- The status of the data, who wrote it, and what the template asks for besides.
function page.dress(doc)
  if not quarto then page.behind(doc) end
  local meta = doc.meta
  meta.simulated = core.header().status == "simulated"
  if quarto and not core.html and core.article then people(meta) end
  if core.article then
    meta.front = front(meta)
    index(meta)
    local summary = meta.description or meta.subtitle
    if summary then meta.summary = text_of(summary) end
  end
  if FORMAT == "docx" and core.article and meta.keywords and meta.abstract then
    local said = pandoc.utils.type(meta.abstract) == "Inlines" and pandoc.Blocks({ pandoc.Para(meta.abstract) })
      or pandoc.Blocks(meta.abstract)
    local names = pandoc.List(meta.keywords):map(text_of)
    said:insert(pandoc.Para({ pandoc.Emph("Keywords:"), pandoc.Space(), pandoc.Str(table.concat(names, ", ")) }))
    meta.abstract = pandoc.MetaBlocks(said)
  end
  if FORMAT == "docx" and core.article and #meta.front > 0 then
    local items = meta.front:map(function(one) return pandoc.Plain(pandoc.Inlines({
      pandoc.Strong(one.name .. ":"), pandoc.Space(), table.unpack(one.value) })) end)
    doc.blocks:insert(1, pandoc.Div({ pandoc.LineBlock(items:map(function(one) return one.content end)) },
      pandoc.Attr("", { "front" })))
  end
  if not core.html then return doc end
  meta.notebook = not core.article
  if not core.own then return alone(doc) end
  if pandoc.utils.type(meta.abstract) == "Inlines" then -- an abstract of one paragraph is bare
    meta.abstract = pandoc.MetaBlocks({ pandoc.Para(meta.abstract) })
  end
  if core.article then
    meta.books = draw.books()
    if quarto then people(meta) end
  end
  local style, scripts = inlined("style", ".css"), inlined("script", ".js")
  if quarto then
    quarto.doc.include_text("in-header", style)
    quarto.doc.include_text("after-body", "</main></div>\n" .. scripts)
  else
    meta["header-includes"] = pandoc.MetaBlocks({ pandoc.RawBlock("html", style) })
    meta["include-after"] = pandoc.MetaBlocks({ pandoc.RawBlock("html", "</main></div>\n" .. scripts) })
  end
  return doc
end

-- A drawing becomes a part of the page: the engine puts it in the place of its name.
function page.drawn(image, path)
  path = path or image.src
  if path:match("%.svg$") and core.read(path) then image.src = "data:image/svg+xml," .. pandoc.path.filename(path) end
end

-- A section may say whose answers it reports; the head of a PDF's pages repeats it.
function page.stated(header)
  if header.level > 1 then return nil end
  local status, mark = header.attributes.status, "#metadata(none) <status>"
  if status then
    mark = ("#context { let n = counter(heading).get().first(); [#metadata([Section #n: %s]) <status>] }"):format(status)
  end
  header.attributes.status = nil
  if quarto and header.classes:includes("appendix-section") and not page.appendix then
    page.appendix = true
    mark = mark .. '\n#show figure.where(kind: "quarto-float-fig"): set figure(placement: none)'
  end
  return { header, pandoc.RawBlock("typst", mark) }
end

-- A callout as a note with its title; `sort` is tip, note, important, warning or caution.
function page.callout(sort, title, content)
  if FORMAT == "typst" then
    local blocks = pandoc.Blocks({ pandoc.RawBlock("typst", "#notice["), pandoc.Para({ pandoc.Strong(title) }) })
    blocks:extend(content)
    blocks:insert(pandoc.RawBlock("typst", "]"))
    return blocks
  end
  if FORMAT == "docx" then
    content:insert(1, pandoc.Para({ pandoc.Strong(title) }))
    return pandoc.Div(content, pandoc.Attr("", {}, { ["custom-style"] = "Callout" }))
  end
  local head = pandoc.Div({ pandoc.Para({ pandoc.Strong(title) }) }, pandoc.Attr("", { "callout-title" }))
  local blocks = pandoc.Blocks({ head })
  blocks:extend(content)
  return pandoc.Div(blocks, pandoc.Attr("", { "callout", "callout-" .. sort }, { role = "note" }))
end

-- Typst takes a cell that starts with a sign of its own for a heading or a list: "= .010".
local function literal(cell)
  local first = cell.content[1]
  if first and first.t == "Str" and first.text:match("^[=+/-]") then
    cell.content:insert(1, pandoc.RawInline("typst", "#h(0pt)"))
    return cell
  end
end

-- A label that is printed once stands for the rows below it: to the ear, it is said in each.
local function heard(body)
  local said
  for _, row in ipairs(body.body) do
    local first = row.cells[1]
    local text = text_of(first.contents)
    if text == "" and said then
      first.contents = { pandoc.Plain(pandoc.RawInline("html", '<span class="heard">' .. said .. "</span>")) }
    elseif text ~= "" then
      said = text:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" })
    end
  end
  body.row_head_columns = 1
end

-- A table too wide for the screen scrolls by itself; the keyboard can do it too.
function page.table(tab)
  aside.rows(tab)
  if quarto and not tab.classes:includes("sized") then -- it has given widths to the columns
    tab.colspecs = tab.colspecs:map(function(spec) return { spec[1], nil } end)
  end
  local _, open_width = tables.fit(tab)
  if core.html then
    local bodies = tab.bodies
    for _, body in ipairs(bodies) do heard(body) end
    tab.bodies = bodies
  elseif FORMAT == "typst" then
    tab = tab:walk({ Plain = literal, Para = literal })
  elseif FORMAT == "docx" then
    tab = word.sized(tab)
  end
  tab = aside.table(tab)
  if open_width and FORMAT == "typst" then
    return { pandoc.RawBlock("typst", "#fitted["), tab, pandoc.RawBlock("typst", "]") }, false
  end
  if not core.html then return tab, false end
  local open = '<div class="scroll" tabindex="0" role="group" aria-label="Table">'
  return { pandoc.RawBlock("html", open), tab, pandoc.RawBlock("html", "</div>") }, false
end

return page
