# Brings the pushed commit into the work tree. POSIX sh and git 2.31.
#
# c3's git has its own clone, OWN/tree/.git, in the file system of its container: settings, index, objects. No other
# container reaches it, so what a build left in the work tree or in its .git decides nothing (A10). OWN/tree has no
# files except submodules. The steps get a copy of the git directory as PATH/.git, which c3's git never reads.
#
#   OWN/at      the commit that is there
#   OWN/links   paths of submodules in the work tree, one a line
#   OWN/large   not empty if the tree has 10,000 files or more
#   OWN/attributes  not empty if the tree may have .gitattributes
#
# Each process costs some milliseconds of every build, so a warm build starts few: the shell does the rest itself.

umask 022
tree=$C3_CHECKOUT_PATH
cd "$tree"
IFS='
'
# Variables of the image or the job that would lead git elsewhere.
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_COMMON_DIR \
  GIT_NAMESPACE GIT_CONFIG GIT_CONFIG_PARAMETERS GIT_CONFIG_SYSTEM GIT_TEMPLATE_DIR GIT_SHALLOW_FILE GIT_GRAFT_FILE

# Sets own. Creates the directory where no other container of the Pod has a volume.
find_own() {
  for _place in "${TMPDIR:-/tmp}" /tmp /var/tmp "${HOME:-/}"; do
    own=$_place/.c3-$C3_CHECKOUT_KEY
    is_private "$_place" || continue
    { [ -d "$own" ] && [ ! -L "$own" ] && [ -O "$own" ]; } || mkdir -m 700 "$own" 2> /dev/null || continue
    return
  done
  # Another container could put settings into a clone there, which get the credential (A10).
  is_private "${tree%/*}" || {
    echo "c3: the checkout needs a directory that no other container reaches: mount an emptyDir at /tmp in this container alone" >&2
    exit 76
  }
  # Where nothing else is writable, c3 clones for each build.
  own=${tree%/*}/.c3-$C3_CHECKOUT_KEY
  rm -rf "$own" && mkdir -m 700 "$own"
}

is_private() {
  set -f
  for _mount in $C3_SHARED_MOUNTS; do
    case $1/ in "$_mount"/*) set +f; return 1 ;; esac
  done
  set +f
}

configure() {
  {
    if [ "${#C3_SHA}" -eq 64 ]; then printf '[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectformat = sha256\n'
    else printf '[core]\n\trepositoryformatversion = 0\n'; fi
    printf '[core]\n\tfilemode = true\n\tbare = false\n'
    printf '[remote "origin"]\n\turl = %s\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n' "$C3_CHECKOUT_URL"
  } > "$GIT_DIR/config"
}

# Runs git, and again after a pause while the forge cannot be reached: for about a minute in all. Fails with 2 after
# that, and with 1 at once for any other fault.
patiently() {
  for _pause in 1 2 4 8 15 30 ''; do
    _said=$("$@" 2>&1) && return
    _failed=2
    case $_said in
      *'error: 5'[0-9][0-9]* | *'error: 429'* | *'ould not resolve'* | *'to connect'* | *'not connect'* | *onnection* | \
        *'timed out'* | *unreachable* | *'early EOF'* | *'RPC failed'* | *'hung up'* | *disconnect* | *'Empty reply'* | \
        *SSL_* | *'TLS '* | *'Recv failure'* | *'Send failure'* | *'bad line length'* | *'too slow'*) ;;
      *) _failed=1 _pause= ;;
    esac
    [ -n "$_pause" ] || break
    printf 'c3 tries again in %s s: %s\n' "$_pause" "$_said"
    sleep "$_pause"
  done
  printf '%s\n' "$_said" >&2
  return "$_failed"
}

fetch_one() {
  patiently git fetch -q --no-tags --no-recurse-submodules --no-write-fetch-head --depth "$C3_CHECKOUT_DEPTH" "$C3_CHECKOUT_URL" "$1"
}

fetch() {
  # The tag itself, for `git describe`. It may have moved since the push.
  case $C3_REF in refs/tags/*)
    if fetch_one "+$C3_REF:$C3_REF" 2> /dev/null; then
      [ "$(git rev-parse -q --verify "$C3_REF^{commit}")" != "$C3_SHA" ] || return 0
      git update-ref -d "$C3_REF"
    fi ;;
  esac
  fetch_one "$C3_SHA" && return
  [ $? = 1 ] && fetch_one "$C3_REF"
}

# Writes the objects that c3 sends into both repositories. The names are hashes, which c3 has computed. A large object
# has several pieces.
insert() {
  _index=0 _last=
  while [ "$_index" -lt "$C3_PIECES" ]; do
    eval "_name=\$C3_PIECE_NAME_$_index _bytes=\$C3_PIECE_$_index"
    if [ "$_name" != "$_last" ]; then
      _last=$_name _own=$GIT_DIR/objects/$_name _copy=$tree/.git/objects/$_name
      [ -d "${_own%/*}" ] || mkdir "${_own%/*}" || return
      printf '' > "$_own" || return
      # Where this is not possible, `publish` makes a new copy.
      { [ ! -L "$tree/.git" ] && [ ! -L "$tree/.git/objects" ] && [ ! -L "${_copy%/*}" ] && [ -d "${_copy%/*}" ] &&
        [ ! -e "$_copy" ] && [ ! -L "$_copy" ]; } || _copy=/dev/null
    fi
    printf "$_bytes" >> "$_own" || return
    { printf "$_bytes" >> "$_copy"; } 2> /dev/null || :
    _index=$((_index + 1))
  done
  for _edge in $C3_EDGES; do git cat-file -e "$_edge" 2> /dev/null || return; done
}

# Names the commit as a clone of the branch or the tag does.
name_commit() {
  _head=$C3_SHA _refs="$C3_SHA $C3_REF"
  case $C3_REF in
    refs/heads/*) _head="ref: $C3_REF" _refs="$_refs
$C3_SHA refs/remotes/origin/${C3_REF#refs/heads/}" ;;
  esac
  printf '%s\n' "$_head" > "$GIT_DIR/HEAD" &&
    printf '# pack-refs with: peeled fully-peeled sorted \n%s\n' "$_refs" > "$GIT_DIR/packed-refs"
}

# Removes what is in the directories of submodules: git leaves it there. A step can replace a directory by a link.
empty_links() {
  set --
  while read -r _link; do
    _path= _rest=$_link/
    while [ -n "$_rest" ]; do
      _path=$_path${_rest%%/*} _rest=${_rest#*/}
      [ ! -L "$_path" ] || break
      [ -z "$_rest" ] || _path=$_path/
    done
    set -- "$@" "./$_path"
  done < "$own/links"
  [ $# = 0 ] || rm -rf "$@"
}

# All joined by &&: a shell ignores -e in a function whose exit status is checked. A file whose stat data is not in
# c3's own index is written anew.
switch() {
  # First: a link in place of a directory hides that its files are missing, and a strange .gitattributes would apply.
  empty_links && { [ "$C3_CHECKOUT_CLEAN" = no ] || git clean -q -ffdx; } &&
    tidy_meanwhile && git checkout -q --force --detach "$C3_SHA" && name_commit && publish
}

# On a large tree this takes as long as git. Git makes directories with the right modes.
tidy_meanwhile() {
  [ "$C3_CHECKOUT_CLEAN" != no ] && [ -s "$own/large" ] || return 0
  wait
  ( _exec=exec; tidy ) 2> /dev/null &
  _tidying=$!
}

# Lists the submodules, and notes whether the tree is large.
list_links() {
  git -c core.quotePath=false ls-tree -r "$C3_SHA" > "$own/list" &&
    sed -n 's/^160000 commit [^	]*	//p' "$own/list" > "$own/links" && sed -n 10000p "$own/list" > "$own/large" &&
    sed -n '/[	\/]\.gitattributes$/p' "$own/list" > "$own/attributes" && rm -f "$own/list"
}

# Git does not write a file again if only its attributes have changed, such as its line ends. Without stat data in the
# index it writes all.
apply_attributes() {
  [ "${C3_HAS_ATTRIBUTES-yes}" = no ] || echo yes > "$own/attributes"
  [ ! -s "$own/attributes" ] || git diff --quiet "$at" "$C3_SHA" -- ':(glob)**/.gitattributes' || git read-tree "$at"
}

# Gives the steps their .git. Copies only what is missing, unless a step has left an unusual one.
publish() {
  _git=$tree/.git
  is_usual || { rm -rf "$_git" && cp -RP "$GIT_DIR" "$_git"; return; }
  set --
  for _entry in "$_git"/* "$_git"/.[!.]* "$_git"/..?* "$_git"/hooks/* "$_git"/hooks/.[!.]* "$_git"/info/* \
    "$_git"/info/.[!.]* "$_git"/refs/* "$_git"/refs/heads/* "$_git"/refs/tags/* "$_git"/objects/*/*; do
    case ${_entry#"$_git"/} in
      objects/??/* | objects/pack/* | shallow) [ -e "$GIT_DIR/${_entry#"$_git"/}" ] || set -- "$@" "$_entry" ;;
      HEAD | config | index | packed-refs | objects | refs | hooks | info | refs/heads | refs/tags) ;;
      *) { [ ! -e "$_entry" ] && [ ! -L "$_entry" ]; } || set -- "$@" "$_entry" ;;
    esac
  done
  [ $# = 0 ] || rm -rf "$@" || return
  set --
  for _entry in "$GIT_DIR"/objects/pack/*.pack; do
    [ ! -e "$_entry" ] || [ -e "$_git/objects/pack/${_entry##*/}" ] || set -- "$@" "$_entry" "${_entry%pack}idx"
  done
  [ $# = 0 ] || cp "$@" "$_git/objects/pack/" || return
  set -- "$GIT_DIR/HEAD" "$GIT_DIR/config" "$GIT_DIR/index" "$GIT_DIR/packed-refs"
  [ ! -e "$GIT_DIR/shallow" ] || set -- "$@" "$GIT_DIR/shallow"
  cp -f "$@" "$_git/"
}

# Succeeds when the steps' .git has its directories, no links and all loose objects.
is_usual() {
  for _entry in .git .git/objects .git/objects/pack .git/objects/info .git/refs .git/refs/heads .git/refs/tags .git/hooks .git/info; do
    [ -d "$_entry" ] && [ ! -L "$_entry" ] || return 1
  done
  for _entry in .git/objects/*; do [ ! -L "$_entry" ] || return 1; done
  for _entry in HEAD config index packed-refs shallow; do [ ! -L ".git/$_entry" ] && [ ! -d ".git/$_entry" ] || return 1; done
  for _entry in "$GIT_DIR"/objects/??/*; do
    [ ! -e "$_entry" ] || [ -f ".git${_entry#"$GIT_DIR"}" ] || return 1
  done
}

# All directories of objects: a warm build starts no process to make them.
make_directories() {
  set -- "$GIT_DIR/hooks" "$GIT_DIR/info"
  for _first in 0 1 2 3 4 5 6 7 8 9 a b c d e f; do
    for _second in 0 1 2 3 4 5 6 7 8 9 a b c d e f; do set -- "$@" "$GIT_DIR/objects/$_first$_second"; done
  done
  mkdir -p "$@"
}

make() {
  if ! git --version > /dev/null 2>&1; then
    echo "c3: this container has no git: the checkout needs git 2.31 or newer" >&2
    exit 1
  fi
  chmod -R u+rwX . 2> /dev/null || :
  find . ! -name . -prune -exec rm -rf {} + || :
  for _entry in * .[!.]* ..?*; do
    { [ -e "$_entry" ] || [ -L "$_entry" ]; } || continue
    echo "c3: user $(id -u) of this container cannot remove $tree/$_entry, which another user left there: let the container run as that user or as root" >&2
    exit 1
  done
  if [ "${#C3_SHA}" -eq 64 ]; then _format=sha256; else _format=sha1; fi
  rm -rf "$own/tree" "$own/at" && mkdir -p "$GIT_DIR" &&
    git init -q --template= --object-format=$_format && make_directories && configure && : > "$own/links" &&
    fetch && list_links && switch
}

renew() {
  for _entry in "$GIT_DIR"/*.lock; do [ ! -e "$_entry" ] || rm -f "$_entry"; done
  configure || return
  if [ "$at" != "$C3_SHA" ]; then
    if [ -n "$C3_HAVE" ]; then insert; else fetch; fi && apply_attributes || return
  fi
  # Go's module cache has directories without write permission.
  switch || { chmod -R u+rwX . && switch; } || return
  [ "$at" = "$C3_SHA" ] || [ "${C3_HAS_LINKS-}" = no ] || list_links
}

# Removes and repairs what git does not see: repositories inside the tree, and modes besides the one bit that git
# knows. Git notices a file whose mode changed a second or more after the checkout, so c3 does not read the modes of all
# files of a large tree. busybox forgets an `-exec … +` in brackets.
tidy() {
  set -- . -mindepth 1 -path ./.git -prune -o -name .git -prune -exec rm -rf '{}' + \
    -o -type d '(' ! -perm -755 -o -perm -020 -o -perm -002 ')' -exec chmod a+rx,u+w,go-w '{}' +
  [ -s "$own/large" ] ||
    set -- "$@" -o -type f -perm -100 ! -perm 755 -exec chmod 755 '{}' + -o -type f ! -perm -100 ! -perm 644 -exec chmod 644 '{}' +
  $_exec find "$@"
}

# Succeeds when `tidy` ran beside git. It fails when a file vanished meanwhile.
is_tidied() { [ -n "$_tidying" ] && wait "$_tidying"; }

# Checks submodules out in c3's own tree, and copies them. Their addresses are relative to the remote, so the copies
# fit.
add_submodules() {
  unset GIT_DIR GIT_WORK_TREE
  cd "$own/tree"
  find . ! -name . -prune ! -name .git -exec rm -rf {} +
  git checkout-index -q -f .gitmodules || {
    read -r _link < "$own/links"
    echo "c3: $_link is a submodule, but the commit has no .gitmodules, which says where it is from" >&2
    exit 76
  }
  git submodule sync -q --recursive
  patiently git submodule update -q --init --recursive --force --depth "$C3_CHECKOUT_DEPTH"
  cp -f .git/config "$tree/.git/config"
  cp -RP .git/modules "$tree/.git/modules"
  while read -r _link; do
    cp -RP "./$_link/." "$tree/$_link/"
  done < "$own/links"
}

find_own
export GIT_DIR="$own/tree/.git" GIT_WORK_TREE="$tree" HOME="$own" XDG_CONFIG_HOME="$own"
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_ATTR_NOSYSTEM=1 GIT_NO_REPLACE_OBJECTS=1 GIT_DEFAULT_REF_FORMAT=files
at= _exec= _tidying=
[ ! -f "$own/at" ] || read -r at < "$own/at"
: "${C3_HAVE:=}"
if [ -n "$C3_HAVE" ]; then
  { [ "$at" = "$C3_HAVE" ] && renew; } || { echo "c3 fetches in the container: its clone is not as expected"; wait; exit 75; }
elif [ -z "$at" ]; then make; else renew || { echo "c3 clones again: the warm work tree cannot be used"; wait; _tidying=; make; }; fi
printf '%s\n' "$C3_SHA" > "$own/at"
if [ "$C3_CHECKOUT_CLEAN" = no ]; then
  [ "$C3_CHECKOUT_SUBMODULES" = no ] || [ ! -s "$own/links" ] || add_submodules
  exit
fi
if [ "$C3_CHECKOUT_SUBMODULES" = no ] || [ ! -s "$own/links" ]; then is_tidied || { _exec=exec; tidy; }; exit; fi
is_tidied || tidy
add_submodules
