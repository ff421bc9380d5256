-- For plain pandoc, before the other filters: references to the paper's own exhibits and sections
-- are set aside, and the citations are resolved. What the processor made of them is kept in a file
-- (variable `citations`) and taken from there as long as all citations are the same.

local core = dofile(pandoc.path.directory(PANDOC_SCRIPT_FILE) .. "/core.lua")
local KINDS = { fig = true, tbl = true, sec = true }

-- A `crossref` holds a Span for each label, with what was written before it.
local function crossref(cite)
  local labels = pandoc.Inlines({})
  for _, one in ipairs(cite.citations) do
    if not KINDS[one.id:lower():match("^(%a+)%-") or ""] then return nil end
    local bare = one.mode == "SuppressAuthor" and "bare" or "full"
    labels:insert(pandoc.Span(one.prefix, pandoc.Attr("", {}, { label = one.id, form = bare })))
  end
  return pandoc.Span(labels, pandoc.Attr("", { "crossref" }))
end

local function citations(doc)
  local found, refs = pandoc.Inlines({}), nil
  doc:walk({
    Cite = function(cite) found:insert(cite) end,
    Div = function(div) if div.identifier == "refs" then refs = div end end,
  })
  return found, refs
end

local function as_json(inlines, blocks)
  return pandoc.write(pandoc.Pandoc({ pandoc.Plain(inlines), table.unpack(blocks or {}) }), "json")
end

local function resolve(doc)
  local found, list = citations(doc)
  if #found == 0 then return doc end
  local path, title = core.setting("citations"), doc.meta["reference-section-title"]
  if not path or not (list or title) then return pandoc.utils.citeproc(doc) end
  -- The first 40 signs: of what they were made, and that the rest is whole.
  local function mark(text) return pandoc.utils.sha1(core.setting("sources") .. as_json(found) .. text) end
  local kept = core.read(path) or ""
  if kept:sub(1, 40) ~= mark(kept:sub(41)) then
    local made = pandoc.utils.citeproc(doc)
    local cited, refs = citations(made)
    local text = refs and as_json(cited, { refs })
    if text then core.write(path, mark(text) .. text) end
    return made
  end
  local known, number = pandoc.read(kept:sub(41), "json").blocks, 0
  doc = doc:walk({
    Cite = function(cite)
      number = number + 1
      return known[1].content[number]
    end,
    Div = function(div) if div.identifier == "refs" then return known[2] end end,
  })
  if not list then
    doc.blocks:extend({ pandoc.Header(1, title, pandoc.Attr("bibliography", { "unnumbered" })), known[2] })
  end
  return doc
end

return { { Cite = crossref }, { Pandoc = resolve } }
