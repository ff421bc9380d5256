-- The page around the text, the same from both renderers: style and scripts, who wrote it, the
-- notebooks, pictures that are part of the page, callouts, and tables that scroll by themselves.

local function script(name)
  return quarto and quarto.utils.resolve_path(name)
    or os.getenv("CLAIMLEDGER_EXTENSION") .. "/" .. name
end
local core, draw, tables = dofile(script("core.lua")), dofile(script("draw.lua")), dofile(script("tables.lua"))
local page = {}
local text_of = pandoc.utils.stringify

-- All files of an ending in one element: a page opened from a file asks for nothing beside it.
local function inlined(tag, ending)
  local parts = pandoc.List({ "page", "cards", "exhibits" }):map(function(name)
    return core.read(script("page/" .. name .. ending))
  end)
  return ("<%s>\n%s</%s>"):format(tag, table.concat(parts), tag)
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
    return { name = text_of(person.name.literal), url = person.url, orcid = person.orcid, marks = marks }
  end)
  for index, place in ipairs(places) do place.mark = #places > 1 and tostring(index) or nil end
  meta.places = places
end

-- The ledger behind the text, the status of the data, and what the template asks for besides.
function page.dress(doc)
  local meta = doc.meta
  meta.simulated = core.ledger().header.status == "simulated"
  if quarto and FORMAT == "typst" then people(meta) end
  if not core.html then return doc end
  meta.notebook = not core.article
  if pandoc.utils.type(meta.abstract) == "Inlines" then -- an abstract of one paragraph is bare
    meta.abstract = pandoc.MetaBlocks({ pandoc.Para(meta.abstract) })
  end
  if core.article then
    meta.books = draw.books()
    meta["ledger-section"] = pandoc.MetaBlocks({ pandoc.RawBlock("html", draw.section()) })
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

-- A drawing as a part of the page: as text it takes a fifth less than in base64.
function page.picture(path)
  local svg = core.read(path)
  if not svg then return nil end
  svg = svg:gsub("xlink:href=", "href=")
  svg = svg:gsub('style="[^"]*"', function(style)
    return (style:gsub("([:;]) ", "%1"):gsub("#(%x)%1(%x)%2(%x)%3", "#%1%2%3"))
  end)
  svg = svg:gsub("translate%b()", function(shift) return (shift:gsub("(%.%d%d)%d+", "%1")) end)
  return "data:image/svg+xml," .. svg:gsub('[%c%%#<>&"\']', function(c) return ("%%%02X"):format(c:byte()) end)
end

-- A section may say whose answers it reports; the head of a PDF's pages repeats it.
function page.stated(header)
  if header.level > 1 then return nil end
  local status, mark = header.attributes.status, "#metadata(none) <status>"
  if status then
    mark = ("#context { let n = counter(heading).get().first(); [#metadata([Section #n: %s]) <status>] }"):format(status)
  end
  header.attributes.status = nil
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

-- A table too wide for the screen scrolls by itself; the keyboard can do it too.
function page.table(tab)
  if quarto and not tab.classes:includes("sized") then -- it has given widths to the columns
    tab.colspecs = tab.colspecs:map(function(spec) return { spec[1], nil } end)
  end
  tables.fit(tab)
  if FORMAT == "typst" then return tab:walk({ Plain = literal, Para = literal }) end
  local open = '<div class="scroll" tabindex="0" role="group" aria-label="Table">'
  return { pandoc.RawBlock("html", open), tab, pandoc.RawBlock("html", "</div>") }, false
end

return page
